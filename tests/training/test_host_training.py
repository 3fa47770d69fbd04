"""Training in environments that are stepped on the host."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium_cases import AGENT, Counter, Slide

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.training import NonFiniteError
from tf_equirl.training.host import Copies, episode_seeds

pytestmark = pytest.mark.usefixtures("without_xla")

CONTINUOUS = dataclasses.replace(
    AGENT, normalize_observations=True, normalize_rewards=True, discount=0.9
)


def same_step(number):
    return SyncVectorEnv([Counter] * number, autoreset_mode=AutoresetMode.SAME_STEP)


def next_step(number):
    return SyncVectorEnv([Counter] * number, autoreset_mode=AutoresetMode.NEXT_STEP)


def disabled(number):
    return SyncVectorEnv([Counter] * number, autoreset_mode=AutoresetMode.DISABLED)


def transitions(vectorization, steps=40):
    """The steps of three copies, seeded 0, 1 and 2; actions depend on what is seen alone."""
    env = HostEnvironment(Counter, vectorization=vectorization)
    together = callable(vectorization)  # seeded at once, as seed + number
    stepped = Copies(env, 1, 3) if together else Copies(env, 3, 1)
    seen = stepped.reset(np.zeros([1, 3], int) if together else np.arange(3).reshape(3, 1))
    found = [[] for _ in range(3)]
    for _ in range(steps):
        actions = (seen[:, 0] == 2).astype(int)
        before, row = seen, stepped.step(actions)
        seen = row.observation
        for i in np.flatnonzero(row.valid):
            true, reward = tuple(row.true_observation[i]), float(row.reward[i])
            ends = bool(row.terminated[i]), bool(row.truncated[i])
            found[i].append((tuple(before[i]), int(actions[i]), true, reward, *ends))
    stepped.close()
    return found, stepped.always_valid


def by_hand(seed, steps):
    """The same steps of one environment."""
    env, found = Counter(), []
    seen, _ = env.reset(seed=seed)
    for _ in range(steps):
        action = int(seen[0] == 2)
        after, reward, terminated, truncated, _ = env.step(action + 3)
        found.append((tuple(seen), action, tuple(after), reward, terminated, truncated))
        seen = env.reset()[0] if terminated or truncated else after
    return found


@pytest.mark.parametrize(
    "vectorization", ["sync", "async", same_step, next_step, disabled], ids=lambda x: str(x)[:20]
)
def test_every_autoreset_mode_gives_the_same_true_transitions(vectorization):
    found, always_valid = transitions(vectorization)
    assert always_valid == (vectorization is not next_step)
    for seed, of_copy in enumerate(found):
        assert 25 < len(of_copy) <= 40
        expected = by_hand(seed, len(of_copy))
        assert of_copy == expected
        assert any(row[4] for row in expected) and any(row[5] and not row[4] for row in expected)


def test_no_more_environments_step_than_were_asked_for():
    env = HostEnvironment(Counter)
    envs.check_environment(env)  # as training does first, which steps one, too
    Counter.made = Counter.stepped = 0
    result = train_ppo(env, AGENT, seeds=[4, 5, 6])  # in a block of four
    assert result.returns.shape == (3, 24)
    assert Counter.stepped == 3 * 48 and Counter.made == 3 * 2


def test_what_was_seen_is_what_gymnasium_gives():
    """A rollout of the learner, against the actions that it took, made by hand."""
    from tf_equirl.training.run import Run

    env = HostEnvironment("CartPole-v1")
    config = dataclasses.replace(AGENT, rollout_steps=32, total_timesteps=128)
    learner = config.learner(env)
    run = Run(learner, (3, 4, 5), None, None)
    state = run.state.states[0]
    updates = learner._on_host
    acting, rollout = updates.collect(updates._block(state), state, 0)
    seeds = episode_seeds(np.array([3]), 0, 2)[0]
    for copy, seed in enumerate(seeds):
        made = gymnasium.make("CartPole-v1")
        seen, _ = made.reset(seed=int(seed))
        for step in range(32):
            np.testing.assert_array_equal(rollout.observation[step, 0, copy], seen)
            action = int(rollout.action[step, 0, copy])
            seen, reward, terminated, truncated, _ = made.step(action)
            np.testing.assert_array_equal(rollout.next_observation[step, 0, copy], seen)
            found = (rollout.reward, rollout.terminated, rollout.truncated)
            assert [x[step, 0, copy].numpy() for x in found] == [reward, terminated, truncated]
            if terminated or truncated:
                seen, _ = made.reset()
        np.testing.assert_array_equal(acting.env[0, copy], seen)
    assert rollout.terminated.numpy().any()
    for copy in rollout[:4]:  # the copy that fills the block has what the member has
        np.testing.assert_array_equal(copy[:, 0], copy[:, 3])
    learner.close()


def test_rows_that_are_no_steps_count_for_nothing():
    """The loss of some rows, with others beside them that are not valid."""
    from tf_equirl.agents.ppo.learner import Batch, normalized

    learner = AGENT.learner(HostEnvironment(Counter))
    state = learner.start([0] * 4)
    rng = np.random.default_rng(0)

    def batch(rows, seed=0):
        rng = np.random.default_rng(seed)
        floats = tf.constant(rng.normal(size=[4, 4, rows]), tf.float32)
        observation = tf.constant(rng.normal(size=[4, rows, 2]), tf.float32)
        action = tf.constant(rng.integers(0, 2, [4, rows]), tf.int32)
        return Batch(observation, action, -tf.abs(floats[0]), *floats[1:])

    few, more = batch(6), batch(10, seed=1)
    order = rng.permutation(10)
    mixed = tf.nest.map_structure(
        lambda a, b: tf.gather(tf.concat([a, b[:, :4]], 1), order, axis=1), few[:-1], more[:-1]
    )
    valid = tf.gather(tf.constant([[True] * 6 + [False] * 4] * 4), order, axis=1)
    # The bonus is that of one row of a minibatch of a given size.
    settings = learner.settings([AGENT] * 4)
    bonus = settings["entropy_bonus"] * AGENT.batch_size / AGENT.num_minibatches
    results = []
    for rows, data in ((6, few), (10, Batch(*mixed, valid))):
        own = {**settings, "entropy_bonus": bonus / rows}
        gradients, losses = learner.gradients(state.weights, normalized(data), own)
        results.append([*tf.nest.flatten(gradients), *losses[:3]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert all(np.isfinite(x).all() for x in results[0])


def test_training_with_resets_in_the_place_of_steps():
    result = train_ppo(HostEnvironment(Counter, vectorization=next_step), AGENT, seeds=[4, 5])
    assert np.isfinite(result.returns[:, -1]).all()
    assert np.isfinite(result.metrics["policy_loss"]).all()


class Stop(Exception):
    pass


def test_a_resumed_run_keeps_what_it_has_and_begins_new_episodes(tmp_path):
    whole = train_ppo(HostEnvironment(Counter), AGENT, seeds=[4], run_dir=tmp_path / "whole")

    def stop(progress):
        if progress.updates == 2:
            raise Stop

    for folder in ("one", "other"):
        with pytest.raises(Stop):
            train_ppo(HostEnvironment(Counter), AGENT, [4], tmp_path / folder, on_progress=stop)
    before = load_result(tmp_path / "one", HostEnvironment(Counter))
    np.testing.assert_array_equal(before.returns, whole.returns[:, :16])
    resumed = [
        train_ppo(HostEnvironment(Counter), AGENT, [4], tmp_path / folder, resume=True)
        for folder in ("one", "other")
    ]
    np.testing.assert_array_equal(resumed[0].returns[:, :16], whole.returns[:, :16])
    assert resumed[0].finished and resumed[0].returns.shape == whole.returns.shape
    np.testing.assert_array_equal(resumed[0].returns, resumed[1].returns)


def test_numbers_that_are_not_finite_are_laid_at_the_environments_door():
    env = HostEnvironment(lambda: Counter(nan_from=15), name="Broken")
    with (
        pytest.warns(RuntimeWarning, match="an observation of the environment"),
        pytest.raises(NonFiniteError, match="so it has to be mended there") as error,
    ):
        train_ppo(env, AGENT, [4])
    assert np.isfinite(error.value.result.returns[0, 7]) and not error.value.result.finished


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_what_was_computed_survives_an_environment_that_crashes(tmp_path, vectorization):
    env = HostEnvironment(lambda: Counter(fails_at=15), name="Fragile", vectorization=vectorization)
    with pytest.raises(RuntimeError, match="the simulator crashed"):
        train_ppo(env, AGENT, seeds=[4], run_dir=tmp_path)
    assert (tmp_path / "run.json").exists()


def test_a_policy_of_continuous_actions_with_statistics_learns():
    """What it learns is seen in returns; what its statistics are in the observations."""
    config = dataclasses.replace(
        CONTINUOUS, rollout_steps=32, total_timesteps=2048, num_epochs=4, learning_rate=3e-2
    )
    env = HostEnvironment(Slide, max_episode_steps=8)
    result = train_ppo(env, config, seeds=[0, 1])
    first, last = (np.nanmean(result.returns[:, part]) for part in (slice(0, 64), slice(-64, None)))
    assert last > first + 3  # a point that is pushed at random goes from -9 to -16, say
    actor = result.actor(0)
    mean, variance, count = (v.numpy() for v in actor.non_trainable_variables)
    assert abs(count - 2048) < 1
    assert np.isfinite(mean).all() and (variance > 0).all()


def test_spaces_of_evaluated_policies():
    from tf_equirl.evaluation import evaluate, record

    env = envs.HostEnvironment(Slide, max_episode_steps=8)
    model = PPOConfig(actor="mlp", hidden_units=(4,)).networks(env)[0]
    more, fewer = evaluate(model, env, 40, seed=3), evaluate(model, env, 35, seed=3)
    np.testing.assert_array_equal(more.returns[:35], fewer.returns)
    assert set(more.lengths) == {8}
    drawn = evaluate(model, env, 40, greedy=False, seed=3)
    assert not np.array_equal(drawn.returns, more.returns)
    with pytest.raises(ValueError, match="one of the modes of Slide: none"):
        record(model, env)
    counter = HostEnvironment(lambda: Counter(render_mode="rgb_array"), name="Counter")
    model = PPOConfig(actor="mlp", hidden_units=(4,)).networks(counter)[0]
    found = record(model, counter, seed=3)
    assert found.episode_return == evaluate(model, counter, 1, seed=3).returns[0]
    assert len(found.frames) == evaluate(model, counter, 1, seed=3).lengths[0] + 1


def test_an_episode_that_never_ends_is_told(monkeypatch):
    from tf_equirl.evaluation import evaluate
    from tf_equirl.training import host_episodes

    monkeypatch.setattr(host_episodes, "LONGEST", 50)
    env = envs.HostEnvironment(Slide)
    model = PPOConfig(actor="mlp", hidden_units=(4,)).networks(env)[0]
    with pytest.raises(ValueError, match="give max_episode_steps when making it"):
        evaluate(model, env, 2)
