"""What the benchmarks of Dyna feed their models with, and what they compute without running it."""

import contextlib
import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import benchmarks
from tf_equirl import dyna, envs
from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import TransitionModelConfig
from tf_equirl.dyna.learner import DynaLearner
from tf_equirl.envs.cartpole import CartPoleState
from tf_equirl.training import Rollout

pytestmark = pytest.mark.usefixtures("without_xla")

STEPS, MEMBERS, ENVS = 5, 3, 4
ENV = envs.make("CartPole")


@contextlib.contextmanager
def benchmark(name, *arguments):
    """The module of a benchmark. Its flags go with it: others have the same."""
    known, loaded = set(flags.FLAGS), set(sys.modules)
    try:
        module = importlib.import_module(f"benchmarks.{name}")
        flags.FLAGS([name, *arguments])
        yield module
    finally:
        flags.FLAGS.unparse_flags()
        for flag in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, flag)
        for key in {m for m in sys.modules if m.startswith("benchmarks.")} - loaded:
            del sys.modules[key]
            delattr(benchmarks, key.removeprefix("benchmarks."))


@pytest.fixture
def errors():
    with benchmark("dyna_errors", "--model_epochs=1") as module:
        yield module


def config():
    return dyna.DynaConfig(
        agent=PPOConfig(
            hidden_units=(4,),
            num_environments=ENVS,
            rollout_steps=STEPS,
            total_timesteps=STEPS * ENVS * 4,
            num_minibatches=1,
            num_epochs=1,
        ),
        model=TransitionModelConfig(
            kind="mlp", hidden_units=(4,), batch_size=8, predict_change=True
        ),
        planning_ratio=1.0,
        dyna_iterations=2,
        max_model_steps=2,
    )


def test_shifted_rows_are_the_states_of_the_row_before(errors):
    numbers = np.arange(STEPS * MEMBERS * ENVS, dtype=np.int32).reshape(STEPS, MEMBERS, ENVS)
    physics = np.repeat(numbers[..., None], 4, axis=-1).astype(np.float32)
    state = CartPoleState(tf.constant(physics), tf.constant(numbers))
    following = CartPoleState(tf.constant(physics + 0.5), tf.constant(numbers + 1))
    rollout = Rollout(*[None] * 8, state, following)._replace(action=tf.constant(numbers % 2))
    right = DynaLearner.rows(object.__new__(DynaLearner), rollout)
    wrong = errors.Shifted.rows(object.__new__(errors.Shifted), rollout)
    flat = np.stack([numbers[:, m].reshape(-1) for m in range(MEMBERS)])  # over [step, environment]
    np.testing.assert_array_equal(right.state.steps, flat)
    np.testing.assert_array_equal(right.next_state.physics[..., 0], flat + 0.5)
    for x, y in zip(tf.nest.flatten(wrong[:2]), tf.nest.flatten(right[:2]), strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(wrong.next_state, wrong.state, strict=True):
        np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
        np.testing.assert_array_equal(x[:, 0], y[:, -1])


def test_a_repeated_key_gives_few_distinct_but_true_transitions(errors):
    data = errors.repeated_key(ENV, 8_000, seed=3)
    assert len(data) == 8_000
    # 16 trajectories that end after 8 to 11 steps, over and over.
    assert 16 * 8 <= errors.distinct_rows(data) <= 16 * 11
    actions = data.action.reshape(-1, 16)
    assert set(actions[0]) == {0, 1} and (actions == actions[0]).all()
    state = CartPoleState(*map(tf.constant, data.state))
    following, *_ = ENV.transition(state, tf.constant(data.action), tf.zeros([8_000, 4]))
    np.testing.assert_allclose(following.physics, data.next_state.physics, atol=1e-6)
    fresh = dyna.make_dataset(ENV, "random", 2_000)
    assert errors.distinct_rows(fresh) == 2_000


@pytest.mark.thorough
def test_every_agent_plans_in_its_own_frozen_model_and_goes_on_where_it_was(errors, tmp_path):
    data = errors.repeated_key(ENV, 64)
    seeds = (7, 5)
    result = errors._run(ENV, config(), seeds, tmp_path, "repeated key", data)
    fitted = dyna.load_transition_result(tmp_path / "models")
    role = "transition_model"
    for own, models in zip(fitted.weights[role], result.weights[role], strict=True):
        np.testing.assert_array_equal(models[:, 0], own)
    assert (result.weights[role][0][0] != result.weights[role][0][1]).any()
    assert (result.planned_updates == 2).all()
    again = errors._run(ENV, config(), seeds, tmp_path, "repeated key", data)
    np.testing.assert_array_equal(again.returns, result.returns)
    assert again.compile_seconds == 0  # nothing was left to do
    with pytest.raises(ValueError, match="must hold a run of benchmarks.dyna_errors, random"):
        errors._run(ENV, config(), seeds, tmp_path, "random", data)


def test_memory_is_that_of_a_run_of_this_length():
    with benchmark("dyna_speed") as speed:
        for name, make in speed._EXPERIMENTS.items():
            env = envs.make(name)
            chosen = next(c.config for c in make().columns if c.name == "dyna-gcnn")
            total = 10 * chosen.agent.batch_size
            said = speed.describe_memory(env, chosen, total)
            state = speed.make_learner(env, speed.of_length(chosen, total)).start([1, 2])
            assert 2 * said["buffer_bytes"] == speed.bytes_of(state.buffer)
            assert 2 * said["state_bytes"] == sum(x.numpy().nbytes for x in tf.nest.flatten(state))


def test_labels_take_turns():
    made = []
    with benchmark("transition_models") as module:
        calls = {label: lambda label=label: made.append(label) for label in "abc"}
        times = module.common.alternate(calls, repeats=2, warm_up=1)
    assert "".join(made) == "abcbcacababc"
    assert {label: len(x) for label, x in times.items()} == {"a": 2, "b": 2, "c": 2}


@pytest.mark.thorough
def test_held_out_transitions_are_known_and_fresh_ones_less_so():
    config = dyna.DynaConfig.from_flat(
        actor="mlp",
        critic="mlp",
        hidden_units=(8,),
        total_timesteps=1024,
        dyna_iterations=2,
        planning_ratio=1.0,
        model_kind="mlp",
        model_hidden_units=(8,),
    )
    with benchmark("held_out_error", "--num_seeds=2", "--num_transitions=60") as errors:
        short = errors.shortened(config, 0.5)
        assert (short.dyna_iterations, short.agent.total_timesteps) == (1, 512)
        found = list(errors.measure(envs.make("Catch"), config))  # the reported error is compared
    assert [measured.timestep for measured in found] == [512, 1024]
    for measured in found:
        for errors_of in (measured.held_out, measured.other_seeds, measured.fresh):
            assert errors_of.shape == (2,) and (errors_of > 0).all()
        # The paddle stands still after "stay": many boards are seen twice.
        assert (measured.fresh_fitted < 1).all()
        assert (measured.held_out_fitted > 0.2).all()
    row = found[-1].row("Catch", "MLP")
    ratios = found[-1].fresh / found[-1].held_out
    np.testing.assert_allclose(row["fresh_ratio"], ratios.mean(), rtol=1e-6)
