"""PPO with the switches that make it the A2C of "MDP homomorphic networks", on its grid world."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.evaluation import model_equivariance_error

GRID_WORLD = envs.GridWorld(group="C4")
# The paper's settings, of a network with fewer weights whose windows are cells: it compiles faster.
A2C = PPOConfig(
    actor="gcnn",
    critic="invariant",
    filters=(8, 8),
    kernel_sizes=(3, 7),
    strides=(3, 1),
    padding="valid",
    pooling="max",
    hidden_units=(16,),
    num_environments=16,
    rollout_steps=5,
    num_epochs=1,
    num_minibatches=1,
    learning_rate=0.005,
    gae_lambda=1.0,
    clip_value=0.0,
    normalize_advantages=False,
    max_gradient_norm=1.0,
    total_timesteps=80 * 40,
)
SEEDS = (0, 1, 2, 3)
UNIFORM = -4.97  # the exact return of drawing among the five moves


@pytest.fixture(scope="module")
def networks():
    return dict(zip(("actor", "critic"), A2C.networks(GRID_WORLD), strict=True))


@pytest.fixture(scope="module")
def trained(networks):
    return train_ppo(GRID_WORLD, A2C, SEEDS, **networks)


def _returns(rollout, member, critic):
    """Of each step, the discounted rewards until the rollout or the episode ends, and then V."""
    names = ("reward", "terminated", "truncated")
    rewards, terminated, truncated = (getattr(rollout, x)[:, member].numpy() for x in names)
    steps, copies = rewards.shape
    next_observation = tf.reshape(rollout.next_observation[:, member], [steps * copies, 21, 21, 1])
    after = critic(next_observation).numpy().reshape(steps, copies)
    returns = np.zeros((steps, copies))
    for copy in range(copies):
        for start in range(steps):
            factor = 1.0
            for t in range(start, steps):
                returns[start, copy] += factor * rewards[t, copy]
                factor *= A2C.discount
                if terminated[t, copy]:
                    break
                if truncated[t, copy] or t == steps - 1:
                    returns[start, copy] += factor * after[t, copy]
                    break
    return returns.reshape(-1).astype("float32")


def _gradients(actor, critic, observation, action, returns, normalise=False):
    """Of the loss as the paper has it, by the chain rule and nothing of PPO."""
    variables = [*actor.trainable_variables, *critic.trainable_variables]
    with tf.GradientTape() as tape:
        log_probs = tf.nn.log_softmax(actor(observation))
        value = critic(observation)[:, 0]
        advantage = tf.stop_gradient(returns - value)
        if normalise:
            advantage = (advantage - tf.reduce_mean(advantage)) / tf.math.reduce_std(advantage)
        chosen = tf.gather(log_probs, action, batch_dims=1)
        entropy = -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)
        loss = -tf.reduce_mean(chosen * advantage)
        loss += 0.5 * tf.reduce_mean(0.5 * (value - returns) ** 2)
        loss -= 0.01 * tf.reduce_mean(entropy)
    return [g.numpy() for g in tape.gradient(loss, [v.value for v in variables])]


@pytest.mark.thorough
def test_the_gradient_of_an_update_is_that_of_a2c(trained, networks):
    learner = A2C.learner(GRID_WORLD, **networks)
    start = learner.start(SEEDS)
    # The program that has just trained.
    after, reports = learner.stages["update"].run(start, 0, 1)
    # XLA draws other random numbers than TensorFlow does without it.
    collect = tf.function(
        lambda state: learner.collect(state, tf.constant(0))[1], jit_compile=True, autograph=False
    )
    rollout = collect(start)
    assert tf.reduce_any(rollout.terminated)
    actor, critic = learner.networks.values()
    weights = [w for role in ("actor", "critic") for w in start.weights.trained[role]]
    for member in range(len(SEEDS)):
        for variable, stacked in zip(
            [*actor.trainable_variables, *critic.trainable_variables], weights, strict=True
        ):
            variable.assign(stacked[member])
        returns = _returns(rollout, member, critic)
        observation = tf.reshape(rollout.observation[:, member], [-1, 21, 21, 1])
        action = tf.reshape(rollout.action[:, member], [-1])
        expected = _gradients(actor, critic, observation, action, returns)
        norm = float(np.sqrt(sum(np.sum(g**2) for g in expected)))
        np.testing.assert_allclose(reports["gradient_norm"][0, member], norm, rtol=1e-4)
        # Adam's mean of one gradient, which was clipped.
        clipped = min(1.0, A2C.max_gradient_norm / norm)
        scale = max(np.abs(g).max() for g in expected)
        for mean, gradient in zip(after.adam.first, expected, strict=True):
            found = mean[member].numpy() / (1 - A2C.adam_beta_1) / clipped
            # Sums of 80 rows and hundreds of pixels, in another order.
            np.testing.assert_allclose(found, gradient, atol=2e-5 * scale)
        others = _gradients(actor, critic, observation, action, returns, normalise=True)
        differences = [np.abs(a - b).max() for a, b in zip(others, expected, strict=True)]
        assert max(differences) > 0.01 * scale


@pytest.mark.thorough
def test_a_seed_has_the_same_curve_whatever_the_others_are(trained, networks):
    others = train_ppo(GRID_WORLD, A2C, (7, 2, 9), **networks)
    np.testing.assert_array_equal(others.returns[1], trained.returns[2])
    for role, weights in others.weights.items():
        for ours, theirs in zip(weights, trained.weights[role], strict=True):
            np.testing.assert_array_equal(ours[1], theirs[2])


@pytest.mark.thorough
def test_a_short_run_beats_uniform_moves_by_the_exact_score(trained):
    assert np.isfinite(trained.returns[:, -1]).all()
    assert all(np.isfinite(values).all() for values in trained.metrics.values())
    observations = GRID_WORLD.observe(GRID_WORLD.all_states())
    policies = [tf.nn.softmax(trained.actor(seed)(observations)) for seed in SEEDS]
    scores = envs.exact_returns(GRID_WORLD, np.array(policies))
    assert scores.shape == (4,) and scores.min() > 0 > UNIFORM
    assert len({score.round(6) for score in scores}) == 4
    best = envs.optimal_return(GRID_WORLD)
    assert scores.max() < best


@pytest.mark.thorough
@pytest.mark.parametrize("role", ["actor", "critic"])
def test_the_law_holds_after_training(trained, role):
    model = getattr(trained, role)(SEEDS[1])
    error = model_equivariance_error(model, GRID_WORLD, 100)
    assert error.max < 1e-5 and len(error.per_element) == 4
