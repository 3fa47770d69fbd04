"""Returns of n steps and losses, beside plain Python and tf-agents' own agent."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory
from tf_agents.utils import common

from tf_equirl import envs
from tf_equirl.agents import DQNConfig, KerasNetwork
from tf_equirl.agents.dqn.gradient_steps import ROLE
from tf_equirl.agents.dqn.targets import element_losses
from tf_equirl.training.memory import Batch
from tf_equirl.training.returns import n_step_returns

DISCOUNT = 0.9


def plain(reward, terminated, truncated, known, discount):
    """One window: the sum of rewards, what the value of the rest weighs, and the steps."""
    total, weight = 0.0, 1.0
    for i in range(len(reward)):
        if not known[i]:
            return total, weight, i
        total += weight * reward[i]
        weight *= discount
        if terminated[i]:
            return total, 0.0, i + 1
        if truncated[i]:
            return total, weight, i + 1
    return total, weight, len(reward)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_returns_are_those_of_a_plain_loop(steps):
    random = np.random.default_rng(steps)
    shape = (3, 400, steps)
    reward = random.normal(size=shape).astype("float32")
    terminated, truncated = random.random(shape) < 0.2, random.random(shape) < 0.2
    known = np.arange(steps) < random.integers(1, steps + 1, shape[:2])[..., None]
    reward[~known] = np.nan  # what was written before, or never
    discount = np.float32([0.0, 0.9, 1.0])
    found = n_step_returns(
        *map(tf.constant, (reward, terminated, truncated, known)), tf.constant(discount)[:, None]
    )
    expected = [
        [plain(*(x[i, j] for x in (reward, terminated, truncated, known)), discount[i])]
        for i in range(3)
        for j in range(400)
    ]
    expected = np.array(expected).reshape(3, 400, 3).transpose(2, 0, 1)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    # Every way for a window to end is among them.
    assert {*np.unique(found.length)} == {*range(1, steps + 1)}
    assert (found.weight[2].numpy() == 0).any() and (found.weight[2].numpy() == 1).any()


def test_losses_are_the_square_and_hubers():
    error = tf.constant([-3.0, -0.5, 0.0, 0.25, 2.0])
    np.testing.assert_allclose(element_losses(error, "squared", tf.constant(1.0)), error**2)
    for delta in (0.3, 1.0, 10.0):
        theirs = keras.losses.Huber(delta, reduction="none")(np.zeros([5, 1]), error[:, None])
        found = element_losses(error, "huber", tf.constant(delta))
        np.testing.assert_allclose(found, theirs, rtol=1e-6)
        with tf.GradientTape() as tape:
            tape.watch(error)
            found = element_losses(error, "huber", tf.constant(delta))
        gradient = np.clip(error, -delta, delta)  # of 0, too
        np.testing.assert_allclose(tape.gradient(found, error), gradient, rtol=1e-6)


class Values(KerasNetwork):
    """A Keras model as tf-agents' network of values."""

    def __init__(self, model, input_tensor_spec, name="Values"):
        super().__init__(model, input_tensor_spec, "value", name)
        self._wrapped = (model, lambda outputs: outputs)

    def copy(self, name):
        """With variables of its own, as tf-agents makes its target network."""
        return Values(keras.models.clone_model(self.model), self.input_tensor_spec, name)


@pytest.mark.parametrize(
    ("double", "loss", "steps"),
    [(True, "huber", 1), (True, "squared", 3), (False, "huber", 3), (False, "squared", 1)],
)
def test_loss_and_gradient_are_those_of_tf_agents(double, loss, steps):
    """Of `DdqnAgent`, and `DqnAgent` where one network does both, on the same batch.

    Their boundary of an episode weighs by its own mask: no episode ends within a window here, but
    what follows a window is terminal for some. The plain loop above has all the other cases.
    """
    rows, env = 24, envs.make("CartPole")
    config = DQNConfig(
        q_function="gcnn",
        hidden_units=(6, 5),
        double=double,
        loss=loss,
        n_steps=steps,
        discount=DISCOUNT,
    )
    learner = config.learner(env)
    weights = learner.population.fresh([3])
    target = [w + 0.3 for w in weights.trained[ROLE]]
    random = np.random.default_rng(0)
    observation = random.normal(size=(rows, steps + 1, 4)).astype("float32")
    action = random.integers(0, 2, (rows, steps)).astype("int32")
    reward = (3 * random.normal(size=(rows, steps))).astype("float32")
    ends = random.random(rows) < 0.4

    terminated = np.zeros([rows, steps], bool)
    terminated[:, -1] = ends
    no, yes = tf.zeros([rows, steps], tf.bool), tf.ones([rows, steps], tf.bool)
    returns = n_step_returns(
        tf.constant(reward), tf.constant(terminated), no, yes, tf.constant(DISCOUNT)
    )
    columns = observation[:, 0], action[:, 0], returns.reward, returns.weight, observation[:, -1]
    batch = Batch(*(tf.constant(x)[tf.newaxis] for x in columns))
    goal = learner.steps.goals(weights, target, batch)
    gradients, (value, _) = learner.steps.gradients(weights, batch, goal, tf.ones([1]))

    spec = tensor_spec.TensorSpec([4], tf.float32)
    network = Values(learner.networks[ROLE], spec)
    kind = dqn_agent.DdqnAgent if double else dqn_agent.DqnAgent
    agent = kind(
        ts.time_step_spec(spec),
        tensor_spec.BoundedTensorSpec([], tf.int32, 0, 1),
        q_network=network,
        optimizer=tf.compat.v1.train.AdamOptimizer(),
        n_step_update=steps,
        gamma=DISCOUNT,
        td_errors_loss_fn=(
            common.element_wise_huber_loss if loss == "huber" else common.element_wise_squared_loss
        ),
    )
    for variable, ours in zip(network.trainable_weights, weights.trained[ROLE], strict=True):
        variable.assign(ours[0])
    for variable, ours in zip(agent._target_q_network.trainable_weights, target, strict=True):
        variable.assign(ours[0])
    middle, last = ts.StepType.MID, ts.StepType.LAST
    step = np.full([rows, steps + 1], middle)
    following = np.full([rows, steps + 1], middle)
    following[:, -2] = np.where(ends, last, middle)
    step[:, -1] = following[:, -2]
    discounts = np.ones([rows, steps + 1], np.float32)
    discounts[:, -2] = ~ends
    padded = np.pad(action, [(0, 0), (0, 1)]), np.pad(reward, [(0, 0), (0, 1)])
    experience = trajectory.Trajectory(
        *map(tf.constant, (step.astype("int32"), observation, padded[0])),
        policy_info=(),
        next_step_type=tf.constant(following.astype("int32")),
        reward=tf.constant(padded[1]),
        discount=tf.constant(discounts),
    )
    with tf.GradientTape() as tape:
        theirs = agent._loss(
            experience, td_errors_loss_fn=agent._td_errors_loss_fn, gamma=DISCOUNT, training=True
        ).loss
    np.testing.assert_allclose(value[0], theirs, rtol=1e-5)
    expected = tape.gradient(theirs, network.trainable_weights)
    for ours, reference in zip(gradients[ROLE], expected, strict=True):
        np.testing.assert_allclose(ours[0], reference, rtol=1e-4, atol=1e-5)
    assert max(np.abs(g).max() for g in expected) > 0.1  # none of zeros
