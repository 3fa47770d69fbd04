"""The genuine tf-agents agent on Keras 3 models, in tf-agents' own training loop."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tf_equirl import envs, models
from tf_equirl.agents import KerasNetwork, PPOConfig, make_ppo_agent

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def example():
    """The page's loop of tf-agents, which stands alone, with what it needs."""
    _, _, section = PAGE.read_text().partition("\n## The plain tf-agents route\n")
    (code,) = re.findall(r"^```python\n(.*?)^```", section.partition("\n## ")[0], re.M | re.S)
    # Or tf-agents, imported before Keras 3 stands beside it, fails where nothing else was imported.
    assert code.startswith("from tf_equirl.agents import")
    return code


@pytest.mark.thorough
def test_tf_agents_own_loop_trains_the_keras_models():
    keras.utils.set_random_seed(1)
    tf.random.set_seed(1)
    curve = []
    names = {"print": lambda iteration, mean: curve.append(mean)}
    exec(compile(example(), str(PAGE), "exec"), names)
    assert type(names["agent"]) is ppo_clip_agent.PPOClipAgent
    actor = names["my_actor"]
    before = [w.copy() for w in actor.get_weights()]
    time_step = names["time_step"]
    for _ in range(7):
        time_step, _ = names["collect"](time_step)
        names["train"](names["buffer"].gather_all())
        names["buffer"].clear()
        curve.append(float(names["average_return"].result()))
    # All but the readout's bias: it moves both logits alike, so that no action depends on it.
    moved = [np.abs(a - b).max() for a, b in zip(before, actor.get_weights(), strict=True)]
    assert min(moved[:-1]) > 1e-4
    # A random policy stays near 22.
    assert curve[0] < 35 and curve[-1] > 1.5 * curve[0], curve


def test_the_network_exposes_the_keras_models_variables():
    env = envs.make("CartPole")
    actor = models.actor(env.symmetry, "gcnn", (8, 8))
    network = KerasNetwork(actor, tensor_spec.TensorSpec([4], tf.float32), "categorical")
    network.create_variables()
    assert len(network.trainable_weights) == len(actor.trainable_variables) > 0
    for exposed, own in zip(network.variables, actor.variables, strict=True):
        assert isinstance(exposed, tf.Variable)
        exposed.assign_add(tf.ones_like(exposed))
        np.testing.assert_array_equal(exposed, own.numpy())
    distribution, state = network(tf.ones([3, 4]))
    np.testing.assert_allclose(distribution.logits_parameter(), actor(tf.ones([3, 4])))
    assert state == () and network.model is actor


def test_an_unknown_head_is_refused():
    actor = models.actor(envs.make("CartPole").symmetry, "mlp")
    with pytest.raises(
        ValueError, match="head must be a Distribution or one of categorical, value"
    ):
        KerasNetwork(actor, tensor_spec.TensorSpec([4], tf.float32), "gaussian")


def test_models_that_do_not_fit_are_refused():
    actor = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="actor must give one logit"):
        make_ppo_agent(envs.make("CartPole"), actor=actor)


def test_the_agents_policy_is_the_keras_actor():
    env = envs.make("CartPole")
    agent = make_ppo_agent(env, PPOConfig(actor="odd"))
    states = tf.random.stateless_normal([50, 4], [0, 1])
    step = ts.restart(states, batch_size=50)
    greedy = agent.policy.action(step).action
    mirrored = agent.policy.action(ts.restart(-states, batch_size=50)).action
    np.testing.assert_array_equal(greedy, 1 - mirrored)


def test_regularizers_are_refused_which_tf_agents_would_ignore():
    env = envs.make("CartPole")
    regularized = keras.layers.Dense(2, kernel_regularizer="l2")
    actor = keras.Sequential([keras.Input((4,)), regularized])
    with pytest.raises(ValueError, match="actor must have no regularizers.*a regularizer of .*ker"):
        make_ppo_agent(env, PPOConfig(), actor)
