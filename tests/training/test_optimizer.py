import numpy as np
import tensorflow as tf

from tf_equirl.agents import PPOConfig
from tf_equirl.training.optimizer import (
    AdamState,
    adam_settings,
    adam_step,
    initial_adam_state,
    member_norm,
)


def test_each_member_follows_keras_adam_on_its_own_clipped_gradient():
    rng = np.random.default_rng(0)
    config = PPOConfig(max_gradient_norm=0.5)
    shapes = [(3, 4, 2), (3, 2)]
    weights = [tf.constant(rng.normal(size=s), tf.float32) for s in shapes]
    # Members of very different gradient norms: the first stays below the bound.
    scale = np.array([0.01, 1.0, 100.0])
    steps = [
        [
            tf.constant(rng.normal(size=s) * scale.reshape(-1, *[1] * (len(s) - 1)), tf.float32)
            for s in shapes
        ]
        for _ in range(5)
    ]
    ours, state = weights, initial_adam_state(weights, adam_settings([config] * 3, 1))
    for i, gradients in enumerate(steps):
        ours, state = adam_step(ours, gradients, state, tf.constant(i + 1.0), tf.constant(1e-2))
    for member in range(3):
        theirs = _adam_by_the_book(
            [np.float64(w[member]) for w in weights],
            [[np.float64(g[member]) for g in gradients] for gradients in steps],
        )
        for mine, reference in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine[member], reference, rtol=1e-5, atol=1e-6)


def _adam_by_the_book(weights, steps, rate=1e-2, bound=0.5, b1=0.9, b2=0.999, epsilon=1e-5):
    """Kingma and Ba, algorithm 1, for one member; gradients clipped by their global norm."""
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    for t, gradients in enumerate(steps, start=1):
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        for i, g in enumerate(gradients):
            g = g * bound / norm if norm > bound else g
            first[i] = b1 * first[i] + (1 - b1) * g
            second[i] = b2 * second[i] + (1 - b2) * g**2
            step = first[i] / (1 - b1**t) / (np.sqrt(second[i] / (1 - b2**t)) + epsilon)
            weights[i] = weights[i] - rate * step
    return weights


def test_a_zero_gradient_moves_nothing():
    weights = [tf.ones([2, 3])]
    gradients = [tf.zeros([2, 3])]
    state = initial_adam_state(weights, adam_settings([PPOConfig()] * 2, 1))
    updated, _ = adam_step(weights, gradients, state, tf.constant(1.0), tf.constant(1e-2))
    np.testing.assert_array_equal(updated[0], weights[0])
    np.testing.assert_array_equal(member_norm(gradients), [0.0, 0.0])


def test_members_may_be_at_different_steps():
    """As after planning, which some members have done more of than others."""
    rng = np.random.default_rng(1)
    weights, gradients, first, second = (
        [tf.constant(rng.random(size=s), tf.float32) for s in ((3, 4, 2), (3, 2), (3,))]
        for _ in range(4)
    )
    state = AdamState(first, second, adam_settings([PPOConfig()] * 3, 1))
    steps = [1.0, 7.0, 400.0]
    arguments = (weights, gradients, state)
    together = adam_step(*arguments, tf.constant(steps), tf.constant(1e-2))
    moved = []
    for member, step in enumerate(steps):
        alone = adam_step(*arguments, tf.constant(step), tf.constant(1e-2))
        for ours, theirs in zip(tf.nest.flatten(together), tf.nest.flatten(alone), strict=True):
            np.testing.assert_allclose(ours[member], theirs[member], rtol=1e-6)
        moved.append(alone[0][0] - weights[0])
    assert np.abs(moved[0] - moved[1]).max() > 1e-3  # the step matters


def test_members_with_settings_of_their_own_move_as_each_would_among_its_like():
    rng = np.random.default_rng(2)
    configs = [
        PPOConfig(),
        PPOConfig(adam_beta_1=0.5, max_gradient_norm=1e-3),
        PPOConfig(adam_beta_2=0.9, adam_epsilon=0.1),
    ]
    rates = tf.constant([1e-3, 1e-2, 0.5])
    weights, gradients, first, second = (
        [tf.constant(rng.random(size=s), tf.float32) for s in ((3, 4, 2), (3, 2))] for _ in range(4)
    )
    count = tf.constant(3.0)

    def stepped(configs, rate):
        state = AdamState(first, second, adam_settings(configs, 1))
        return tf.nest.flatten(adam_step(weights, gradients, state, count, rate)[0])

    together = stepped(configs, rates)
    for member, config in enumerate(configs):
        alone = stepped([config] * 3, rates[member])
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_array_equal(ours[member], theirs[member])


def test_the_step_size_falls_to_zero_for_the_members_that_ask_for_it():
    configs = [
        PPOConfig(learning_rate=0.5, anneal_learning_rate=True),
        PPOConfig(learning_rate=0.25),
    ]
    settings = adam_settings(configs, 8)
    rates = np.array([settings.learning_rate(tf.constant(i)) for i in (0, 2, 8)])
    np.testing.assert_allclose(rates, [[0.5, 0.25], [0.375, 0.25], [0.0, 0.25]])
