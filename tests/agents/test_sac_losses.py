"""The losses of SAC, beside those of tf-agents' own agent, and the targets that follow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from sac_cases import SMALL, Puck
from tf_agents.agents.sac import sac_agent
from tf_agents.networks import network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tf_equirl.agents.sac.gradient_steps import ACTOR, CRITICS, Learned, followed, images
from tf_equirl.training.memory import Batch

DISCOUNT, ROWS, TEMPERATURE, ENTROPY = 0.9, 24, 0.3, -1.5


class Wrapped(network.Network):
    """A Keras 3 model with weights of its own as a network of tf-agents."""

    def __init__(self, model, spec, weights, name):
        super().__init__(input_tensor_spec=spec, state_spec=(), name=name)
        copy = keras.models.clone_model(model)
        for variable, value in zip(copy.trainable_variables, weights, strict=True):
            variable.assign(value)
        self._wrapped = (copy,)

    @property
    def own(self):
        return [v.value for v in self._wrapped[0].trainable_variables]


class Critic(Wrapped):
    def call(self, inputs, step_type=None, network_state=(), training=False):
        return self._wrapped[0](list(inputs))[:, 0], network_state


class Actor(Wrapped):
    def call(self, inputs, step_type=None, network_state=(), training=False):
        means, logs = tf.split(self._wrapped[0](inputs), 2, axis=-1)
        normal = tfp.distributions.MultivariateNormalDiag(means, tf.exp(logs))
        return tfp.distributions.TransformedDistribution(normal, tfp.bijectors.Tanh()), ()


def noise_of(uniforms):
    """The standard normal numbers of which our distribution makes actions."""
    return tf.math.ndtri(uniforms + 2.0**-24)


def theirs(learner, weights, target, noise):
    """Their agent with these networks, and the noise of next actions, and of actions, given."""
    spec = tensor_spec.TensorSpec([4], tf.float32)
    action = tensor_spec.BoundedTensorSpec([2], tf.float32, -1.0, 1.0)
    pairs = (spec, action)
    one = {role: [w[0] for w in weights.trained[role]] for role in (ACTOR, *CRITICS)}
    critics = [Critic(learner.networks[r], pairs, one[r], r) for r in CRITICS]
    targets = [
        Critic(learner.networks[r], pairs, [w[0] for w in target[r]], f"target_{r}")
        for r in CRITICS
    ]
    actor = Actor(learner.networks[ACTOR], spec, one[ACTOR], ACTOR)
    agent = sac_agent.SacAgent(
        ts.time_step_spec(spec),
        action,
        critics[0],
        actor,
        None,
        None,
        None,
        critic_network_2=critics[1],
        target_critic_network=targets[0],
        target_critic_network_2=targets[1],
        initial_log_alpha=float(np.log(TEMPERATURE)),
        target_entropy=ENTROPY,
    )

    def drawn(time_steps, training=False):
        distribution = actor(time_steps.observation)[0]
        normal = distribution.distribution
        made = normal.mean() + normal.stddev() * noise[bool(time_steps.step_type[0] == 2)]
        squashed = distribution.bijector.forward(made)
        return squashed, distribution.log_prob(squashed)

    agent._actions_and_log_probs = drawn
    return agent, critics, actor


@pytest.fixture(scope="module")
def case():
    random = np.random.default_rng(0)
    learner = SMALL.learner(Puck())
    weights = learner.population.fresh([3])

    def moved(by_role, scale):
        return tf.nest.map_structure(
            lambda w: w + tf.constant(scale * random.normal(size=w.shape), tf.float32), by_role
        )

    weights = weights._replace(trained=moved(weights.trained, 0.1))
    target = moved({role: weights.trained[role] for role in CRITICS}, 0.2)
    ends = random.random(ROWS) < 0.4
    columns = {
        "observation": random.normal(size=(ROWS, 4)),
        "action": random.normal(size=(ROWS, 2)),
        "reward": 3 * random.normal(size=ROWS),
        "weight": np.where(ends, 0.0, DISCOUNT),
        "next_observation": random.normal(size=(ROWS, 4)),
    }
    columns = {name: tf.constant(x[np.newaxis], tf.float32) for name, x in columns.items()}
    uniforms = tf.constant(random.random([1, 2, ROWS, 2]), tf.float32)
    noise = {True: noise_of(uniforms[0, 0]), False: noise_of(uniforms[0, 1])}
    state = learner.start([3])
    learned = Learned(weights, target, tf.math.log([TEMPERATURE]), state.adam, [])
    batch = Batch(**columns)
    return learner, learned, batch, uniforms, theirs(learner, weights, target, noise), ends


def steps_of(batch, ends):
    """The batch as tf-agents' time steps: of next ones the type is LAST, which `drawn` looks at."""
    middle, last = np.full([ROWS], 1, np.int32), np.full([ROWS], 2, np.int32)
    zeros, ones = tf.zeros([ROWS]), tf.ones([ROWS])
    now = ts.TimeStep(tf.constant(middle), zeros, ones, batch.observation[0])
    discount = tf.constant(~ends, tf.float32)
    then = ts.TimeStep(tf.constant(last), batch.reward[0], discount, batch.next_observation[0])
    return now, then


def test_the_loss_and_gradient_of_the_critics(case):
    learner, learned, batch, uniforms, (agent, critics, _), ends = case
    temperature = tf.exp(learned.log_temperature)
    goal = learner.steps.goals(learned, batch, temperature, uniforms[:, 0])
    gradients, loss, value = learner.steps.critic_gradients(
        learned.weights.of(*CRITICS), batch, goal
    )
    now, then = steps_of(batch, ends)
    with tf.GradientTape() as tape:
        reference = 0.5 * agent.critic_loss(
            now, tf.tanh(batch.action[0]), then, tf.math.squared_difference, gamma=DISCOUNT
        )
    np.testing.assert_allclose(loss[0], reference, rtol=1e-5)
    said = critics[0]((batch.observation[0], tf.tanh(batch.action[0])))[0]
    np.testing.assert_allclose(value[0], tf.reduce_mean(said), rtol=1e-5)
    assert ends.any()
    variables = [critic.own for critic in critics]
    for role, expected in zip(CRITICS, tape.gradient(reference, variables), strict=True):
        for ours, one in zip(gradients[role], expected, strict=True):
            np.testing.assert_allclose(ours[0], one, rtol=1e-3, atol=1e-4)


def test_the_loss_and_gradient_of_the_policy_and_the_temperature(case):
    learner, learned, batch, uniforms, (agent, _, actor), ends = case
    temperature = tf.exp(learned.log_temperature)
    gradients, loss, log_prob = learner.steps.actor_gradients(
        learned.weights.of(ACTOR),
        learned.weights.of(*CRITICS),
        batch,
        temperature,
        uniforms[:, 1],
    )
    now, _ = steps_of(batch, ends)
    with tf.GradientTape(persistent=True) as tape:
        reference = agent.actor_loss(now)
        of_temperature = agent.alpha_loss(now)
    np.testing.assert_allclose(loss[0], reference, rtol=1e-5)
    assert [*gradients] == [ACTOR]
    for ours, one in zip(gradients[ACTOR], tape.gradient(reference, actor.own), strict=True):
        np.testing.assert_allclose(ours[0], one, rtol=1e-3, atol=1e-5)
    (expected,) = tape.gradient(of_temperature, [agent._log_alpha])
    found = learner.steps.temperature_gradient(log_prob, tf.constant([ENTROPY]))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_rows_that_are_no_steps_count_for_nothing(case):
    learner, learned, batch, uniforms, _, _ = case
    temperature = tf.exp(learned.log_temperature)
    few = tf.nest.map_structure(lambda x: x[:, :10], batch[:5])
    valid = tf.constant([[True] * 10 + [False] * (ROWS - 10)])
    found = []
    for data, numbers in (
        (Batch(*few), uniforms[:, :, :10]),
        (batch._replace(valid=valid), uniforms),
    ):
        goal = learner.steps.goals(learned, data, temperature, numbers[:, 0])
        of_critics = learned.weights.of(*CRITICS)
        of_actor = learned.weights.of(ACTOR)
        found.append(
            tf.nest.flatten(
                (
                    learner.steps.critic_gradients(of_critics, data, goal),
                    learner.steps.actor_gradients(
                        of_actor, of_critics, data, temperature, numbers[:, 1]
                    ),
                )
            )
        )
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_targets_come_nearer_by_a_share_of_each_members_own():
    old, new = {"a": [tf.zeros([2, 3])]}, {"a": [tf.ones([2, 3])]}
    found = followed(old, new, tf.constant([0.25, 1.0]))
    np.testing.assert_array_equal(found["a"][0], [[0.25] * 3, [1.0] * 3])


def test_images_of_transitions_are_transitions(case):
    """Stepped from the image by the image of the action, for every element of D4."""
    env, random = Puck(), np.random.default_rng(1)
    shape = (1, 8, 20)
    state = env.initial_state(tf.constant(random.random([*shape, 2]), tf.float32))
    state = state._replace(velocity=tf.constant(random.normal(size=[*shape, 2]), tf.float32))
    action = tf.constant(random.normal(size=[*shape, 2]), tf.float32)

    def transition(state, action):
        executed = env.action_distribution.executed(action)
        moved, reward, over = env.transition(state, executed, None)
        alive = tf.where(over, 0.0, 1.0)
        return Batch(env.observe(state), action, reward, alive, env.observe(moved))

    def flat(x):
        return tf.reshape(x, [1, 160, *x.shape[3:]])

    batch = tf.nest.map_structure(flat, transition(state, action))
    elements = tf.repeat(tf.range(8), 20)[tf.newaxis]
    found = images(env, batch, elements)
    place, velocity = tf.split(found.observation, 2, axis=-1)
    again = transition(
        state._replace(place=place, velocity=velocity, steps=flat(state.steps)), found.action
    )
    for one, other in zip(found[:5], again[:5], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(found.action - batch.action).max() > 1
