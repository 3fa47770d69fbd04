"""PPO of several configs in one program."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from agent_cases import AUGMENTED, assert_same

from tf_equirl import envs, models
from tf_equirl.agents import PPOConfig, load_result, make_ppo_agent, train_ppo
from tf_equirl.agents.ppo.learner import PPOLearner
from tf_equirl.agents.ppo.tf_agents_ppo import MemberAgent, clip_agent
from tf_equirl.training import programs

BASE = dataclasses.replace(AUGMENTED, learning_rate=1e-2)
# Each differs in one of the fields that may differ.
VARIED = {
    "learning_rate": 3e-3,
    "anneal_learning_rate": True,
    "adam_beta_1": 0.5,
    "adam_beta_2": 0.9,
    "adam_epsilon": 1e-2,
    "max_gradient_norm": 0.01,
    "discount": 0.5,
    "gae_lambda": 0.0,
    "clip_ratio": 0.01,
    "clip_value": 0.01,
    "value_coefficient": 0.0,
    "entropy_coefficient": 0.5,
    "consistency_coefficient": 0.5,
}
CONFIGS = [BASE, *(dataclasses.replace(BASE, **{k: v}) for k, v in VARIED.items())]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return train_ppo("CartPole", CONFIGS, [4], tmp_path_factory.mktemp("configs") / "run")


def test_every_field_that_may_differ_is_varied_here():
    assert set(VARIED) == set(PPOLearner.per_member)


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_each_config_gives_what_it_gives_alone(together, number):
    """In the same program: the run of all has a block of 16 members."""
    alone = train_ppo("CartPole", CONFIGS[number], [4, *range(20, 30)])
    found = together[number]
    assert found.config == CONFIGS[number] and found.seeds == (4,)
    np.testing.assert_array_equal(found.returns[0], alone.returns[0])
    for name, values in found.metrics.items():
        np.testing.assert_array_equal(values[0], alone.metrics[name][0])
    for role, weights in found.weights.items():
        for ours, theirs in zip(weights, alone.weights[role], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])


def test_each_field_matters(together):
    base, *others = [np.concatenate([w.ravel() for w in r.weights["critic"]]) for r in together]
    for name, weights in zip(VARIED, others, strict=True):
        if name not in ("entropy_coefficient", "clip_ratio"):  # the actor's
            assert np.abs(weights - base).max() > 1e-4, name
    base, *others = [np.concatenate([w.ravel() for w in r.weights["actor"]]) for r in together]
    for name, weights in zip(VARIED, others, strict=True):
        if name not in ("clip_value", "value_coefficient"):  # the critic's
            assert np.abs(weights - base).max() > 1e-4, name


def test_the_program_reads_no_field_that_may_differ():
    """Or a member would be trained with the value of another one."""

    class Watched:
        def __init__(self, config):
            self.config, self.read = config, set()

        def __getattr__(self, name):
            self.read.add(name)
            return getattr(self.config, name)

    env = envs.make("CartPole")
    learner = PPOLearner(env, BASE, *BASE.networks(env))
    state = learner.start(range(4))
    learner.config = watched = Watched(BASE)
    tf.function(
        lambda: learner.update(state, tf.constant(0)), autograph=False
    ).get_concrete_function()
    assert "num_minibatches" in watched.read
    assert not watched.read & set(PPOLearner.per_member)


def test_a_folder_gives_the_list_again(together):
    loaded = load_result(together[0].run_dir.parent)
    assert [r.config for r in loaded] == CONFIGS
    for one, other in zip(loaded, together, strict=True):
        assert_same(one, other)


def test_single_runs_of_other_values_compile_nothing(together):
    before = set(programs._kept)
    config = dataclasses.replace(BASE, learning_rate=1e-5, clip_ratio=0.3)
    train_ppo("CartPole", config, range(11))  # a block of 16 as well
    assert set(programs._kept) == before


@pytest.mark.parametrize("clip_value", [0.0, 0.2])
def test_the_loss_is_that_of_an_agent_of_tf_agents_with_these_numbers(clip_value):
    env = envs.make("CartPole")
    config = PPOConfig(
        actor="mlp",
        hidden_units=(7,),
        clip_ratio=0.07,
        clip_value=clip_value,
        entropy_coefficient=0.3,
    )
    with models.seeded(0):
        networks = config.networks(env)
    theirs = make_ppo_agent(env, config, *networks)
    plain = PPOConfig(actor="mlp", hidden_units=(7,), clip_value=float(clip_value > 0))
    plain = dataclasses.replace(plain, value_coefficient=0.5, entropy_coefficient=1.0)
    ours = clip_agent(env, plain, *networks, MemberAgent)
    rng, rows = np.random.default_rng(0), 20
    observation = tf.constant(rng.normal(size=(rows, 4)), tf.float32)
    action = tf.constant(rng.integers(0, 2, rows), tf.int32)
    log_prob = tf.constant(rng.normal(-0.7, 0.1, rows), tf.float32)
    returns, advantage, value = (tf.constant(rng.normal(size=rows), tf.float32) for _ in range(3))
    settings = {
        "clip_ratio": 0.07,
        "least_ratio": 0.93,
        "most_ratio": 1.07,
        "clip_value": clip_value,
        "entropy_bonus": 0.3 / rows,
    }
    settings = {name: tf.constant(x) for name, x in settings.items()}
    batch = (observation, action, log_prob, returns, advantage, value)
    found = tf.function(lambda: ours.loss_info(settings, *batch), autograph=False)()
    # The same rows, as tf-agents is called.
    from tf_agents.trajectories import time_step

    steps = time_step.TimeStep(
        tf.ones([rows], tf.int32), tf.zeros([rows]), tf.ones([rows]), observation
    )
    expected = theirs.get_loss(
        steps, action, log_prob, returns, advantage, (), tf.ones([rows]), theirs.train_step_counter,
        False, old_value_predictions=value, training=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    for name in ("policy_gradient_loss", "value_estimation_loss", "entropy_regularization_loss"):
        np.testing.assert_allclose(
            getattr(found.extra, name), getattr(expected.extra, name), rtol=1e-5
        )
    np.testing.assert_allclose(found.extra.clip_fraction, expected.extra.clip_fraction)
    # Afterwards the agent has its own numbers again.
    assert (ours._importance_ratio_clipping, ours._value_clipping) == (0.2, float(clip_value > 0))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"hidden_units": (8,)}, r"hidden_units=\[7, 5\] in config\[0\], hidden_units=\[8\]"),
        ({"total_timesteps": 60}, "total_timesteps=720 in"),
        ({"clip_value": 0.0}, "all have a clip_value other than 0 and None, or none of them"),
    ],
)
def test_configs_of_other_programs_are_refused(other, message, tmp_path):
    configs = [BASE, dataclasses.replace(BASE, **other)]
    with pytest.raises(ValueError, match=message):
        train_ppo("CartPole", configs, [0], tmp_path / "run")
    assert not (tmp_path / "run").exists()
