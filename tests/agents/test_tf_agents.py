"""The genuine tf-agents agent on Keras 3 models, in tf-agents' own training loop."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.drivers import dynamic_step_driver
from tf_agents.metrics import tf_metrics
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tf_equirl import envs, models
from tf_equirl.agents import KerasNetwork, PPOConfig, make_ppo_agent


def test_tf_agents_own_loop_trains_the_keras_models():
    env = envs.make("CartPole")
    keras.utils.set_random_seed(1)
    tf.random.set_seed(1)
    actor = models.actor(env.symmetry, "gcnn", (32,))
    critic = models.critic(env.symmetry, "mlp", (64,))
    # tf-agents writes every epoch into the graph, which takes seconds for each.
    config = PPOConfig(learning_rate=1e-2, num_epochs=1)
    agent = make_ppo_agent(env, config, actor, critic)
    assert type(agent) is ppo_clip_agent.PPOClipAgent
    environment = envs.make_tf_agents(env, batch_size=16, seed=0)
    buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=16, max_length=65
    )
    returns = tf_metrics.AverageReturnMetric(batch_size=16, buffer_size=32)
    driver = dynamic_step_driver.DynamicStepDriver(
        environment,
        agent.collect_policy,
        observers=[buffer.add_batch, returns],
        num_steps=16 * 64,
    )
    train = tf.function(agent.train)
    before = [w.copy() for w in actor.get_weights()]
    run, curve, time_step = tf.function(driver.run), [], None
    for _ in range(12):
        time_step, _ = run(time_step) if time_step is not None else run()
        train(buffer.gather_all())
        buffer.clear()
        curve.append(float(returns.result()))
    # All but the readout's bias: it moves both logits alike, so that no action depends on it.
    moved = [np.abs(a - b).max() for a, b in zip(before, actor.get_weights(), strict=True)]
    assert min(moved[:-1]) > 1e-3
    # A random policy stays near 22.
    assert curve[0] < 35 and curve[-1] > 2 * curve[0]


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
    with pytest.raises(ValueError, match="head must be one of categorical, value"):
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
