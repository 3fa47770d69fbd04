"""The compiled population update against an eager, unvectorised reference, and its promises."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, models
from tf_equirl.agents import PPOConfig, make_ppo_agent, train_ppo
from tf_equirl.agents.ppo.learner import PopulationProgram
from tf_equirl.groups import Symmetry

SMALL = {
    "hidden_units": (16, 16),
    "num_environments": 4,
    "rollout_steps": 32,
    "total_timesteps": 128 * 10,
}


# Members at once: a block that `train_ppo` uses, and another number than that of environments.
MEMBERS = 8


def _program(**fields):
    config = PPOConfig(**{**SMALL, **fields})
    symmetry: Symmetry = envs.make("CartPole").symmetry
    actor = models.actor(symmetry, config.actor, config.hidden_units)
    critic = models.critic(symmetry, config.critic, config.hidden_units)
    return PopulationProgram(envs.make("CartPole"), config, actor, critic)


def _reference_loss(config, actor, critic, rows):
    """PPO's loss as PureJaxRL states it, from the papers' formulas and nothing of tf-agents."""
    observation, action, log_prob, returns, advantage, value = rows
    log_probs = tf.nn.log_softmax(actor(observation))
    chosen = tf.gather(log_probs, action, batch_dims=1)
    ratio = tf.exp(chosen - log_prob)
    advantage = (advantage - np.mean(advantage)) / (np.std(advantage) + 1e-8)
    clipped = tf.clip_by_value(ratio, 1 - config.clip_ratio, 1 + config.clip_ratio)
    policy_loss = -tf.reduce_mean(tf.minimum(ratio * advantage, clipped * advantage))
    predicted = critic(observation)[:, 0]
    kept = value + tf.clip_by_value(predicted - value, -config.clip_value, config.clip_value)
    errors = tf.maximum((predicted - returns) ** 2, (kept - returns) ** 2)
    value_loss = 0.5 * tf.reduce_mean(errors)
    entropy = -tf.reduce_mean(tf.reduce_sum(tf.exp(log_probs) * log_probs, -1))
    total = (
        policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    )
    return total, (policy_loss, value_loss, entropy)


def _reference_update(program, carry, batch, order, index, member):
    """All minibatches of one member: eager, one after the other, plain Keras variables."""
    config, actor, critic = program.config, program.actor, program.critic
    variables = [*actor.trainable_variables, *critic.trainable_variables]
    for variable, stacked in zip(variables, carry.weights, strict=True):
        variable.assign(stacked[member])
    first = [np.float64(m[member]) for m in carry.adam.first]
    second = [np.float64(v[member]) for v in carry.adam.second]
    rate = config.learning_rate
    if config.anneal_learning_rate:
        rate *= 1 - index / config.num_updates
    count = index * config.num_epochs * config.num_minibatches
    losses = []
    for rows in order[member].numpy():
        part = [x[member].numpy()[rows] for x in batch]
        with tf.GradientTape() as tape:
            total, parts = _reference_loss(config, actor, critic, part)
        gradients = tape.gradient(total, [v.value for v in variables])
        gradients = [np.float64(g) for g in gradients]
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        count += 1
        for i, g in enumerate(gradients):
            g = g * min(1.0, config.max_gradient_norm / norm)
            first[i] = config.adam_beta_1 * first[i] + (1 - config.adam_beta_1) * g
            second[i] = config.adam_beta_2 * second[i] + (1 - config.adam_beta_2) * g**2
            m_hat = first[i] / (1 - config.adam_beta_1**count)
            v_hat = second[i] / (1 - config.adam_beta_2**count)
            variables[i].assign(
                variables[i].numpy() - rate * m_hat / (np.sqrt(v_hat) + config.adam_epsilon)
            )
        losses.append([*map(float, parts), norm])
    return [v.numpy() for v in variables], np.mean(losses, axis=0)


@pytest.fixture(scope="module")
def compiled():
    """A program, and the seconds of its first call."""
    program = _program(actor="gcnn", critic="invariant")
    started = time.monotonic()
    start = program.start(range(MEMBERS))
    program.run(start, tf.constant(0), tf.constant(0))[1].finite.numpy()
    return program, time.monotonic() - started


def _annealed_program():
    return _program(actor="odd", critic="mlp", anneal_learning_rate=True)


@pytest.mark.parametrize("kind", ["gcnn", "annealed"])
def test_an_update_equals_the_eager_unvectorised_reference(kind, compiled):
    program = compiled[0] if kind == "gcnn" else _annealed_program()
    carry, _ = program.run(program.start(range(MEMBERS)), tf.constant(0), tf.constant(3))
    index = tf.constant(3)
    prepare = tf.function(
        lambda c: (
            program.batch(c.weights, program.collect(c, index)[1]),
            program.shuffled(c.seeds, index),
        ),
        jit_compile=True,
        autograph=False,
    )
    batch, order = prepare(carry)
    after, metrics = program.run(carry, index, tf.constant(1))
    for member in (0, 7):
        weights, losses = _reference_update(program, carry, batch, order, 3, member)
        for ours, reference in zip(after.weights, weights, strict=True):
            np.testing.assert_allclose(ours[member], reference, atol=1e-5)
        reported = [
            metrics.policy_loss,
            metrics.value_loss,
            metrics.entropy,
            metrics.gradient_norm,
        ]
        np.testing.assert_allclose([x[0, member] for x in reported], losses, rtol=1e-4, atol=1e-5)
    moved = np.abs(after.weights[0] - carry.weights[0]).max()
    assert moved > 1e-4  # ten times the tolerance: the comparison is not one of zeros


def test_the_values_that_the_advantages_rest_on_are_the_true_ones():
    program = _program(actor="mlp")
    carry = program.start(range(4))
    _, rollout = program.collect(carry, tf.constant(0))
    batch = program.batch(carry.weights, rollout)
    ended = rollout.terminated | rollout.truncated
    assert tf.reduce_any(ended)
    # Inside an episode the true next observation is the next one acted on; at its end it is not.
    same = np.all(rollout.next_observation[:-1] == rollout.observation[1:], axis=-1)
    np.testing.assert_array_equal(same, ~ended[:-1].numpy())
    for variable, stacked in zip(
        program.critic.trainable_variables, carry.weights[6:], strict=True
    ):
        variable.assign(stacked[2])
    expected = program.critic(rollout.observation[:, 2, 1])[:, 0]
    # Rows are ordered by step, then environment.
    np.testing.assert_allclose(batch.value[2, 1::4], expected, atol=1e-5)


def test_it_compiles_once_for_all_seeds_states_and_numbers_of_updates(compiled):
    program, compiling = compiled
    longest = 0.0
    for first_seed, number in ((10, 1), (20, 3), (30, 0)):
        carry = program.start(range(first_seed, first_seed + MEMBERS))
        started = time.monotonic()
        carry, _ = program.run(carry, tf.constant(first_seed), tf.constant(number))
        carry.weights[0].numpy()
        longest = max(longest, time.monotonic() - started)
    assert program.run.experimental_get_tracing_count() == 1
    # A silent compilation, which the count of traces misses, takes as long as the first one.
    assert longest < 0.3 * compiling


# Widths and batches that fill no vector register.
ODD_SIZES = {
    "hidden_units": (7, 5),
    "rollout_steps": 15,
    "num_minibatches": 3,
    "total_timesteps": 600,
}


@pytest.mark.parametrize(
    "fields",
    [
        {"actor": "odd", "critic": "invariant", **ODD_SIZES},
        pytest.param(
            {"actor": "gcnn", "critic": "mlp", "total_timesteps": 512 * 8}, marks=pytest.mark.slow
        ),
    ],
    ids=lambda f: f["actor"],
)
def test_a_seed_has_the_same_curve_alone_or_among_others(fields):
    """In a block of four and in one of eight; with networks of all kinds of layers."""
    config = PPOConfig(**fields)
    among = train_ppo("CartPole", config, seeds=[7, 3, 11, 0, 5, 8])
    alone = train_ppo("CartPole", config, seeds=[3])
    np.testing.assert_array_equal(alone.returns[0], among.returns[1])
    for ours, theirs in zip(alone.weights, among.weights, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[1])
    assert not np.array_equal(among.returns[0], among.returns[1])


def test_a_seed_has_the_same_curve_in_a_block_of_any_size():
    config = PPOConfig(actor="gcnn", critic="mlp", **ODD_SIZES)
    many = train_ppo("Catch", config, seeds=range(38))  # blocks of 32 and of 6, filled up to 8
    seeds = range(22, 35)
    few = train_ppo("Catch", config, seeds=seeds)  # filled up to 16
    np.testing.assert_array_equal(few.returns, many.returns[seeds])
    for ours, theirs in zip(few.weights, many.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs[seeds])


def test_the_split_into_calls_changes_nothing_and_equal_seeds_give_equal_members(compiled):
    program, _ = compiled
    start = program.start([4, 9, 4, 1, 0, 2, 3, 5])
    at_once, metrics = program.run(start, tf.constant(0), tf.constant(6))
    carry, parts = start, []
    for first, number in ((0, 1), (1, 3), (4, 2)):
        carry, rows = program.run(carry, tf.constant(first), tf.constant(number))
        parts.append(rows.returns[:number])
    for a, b in zip(tf.nest.flatten(at_once), tf.nest.flatten(carry), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(metrics.returns[:6], np.concatenate(parts))
    for w in at_once.weights:
        np.testing.assert_array_equal(w[0], w[2])
        assert not np.array_equal(w[0], w[1])


def test_initial_weights_are_those_of_models_built_under_the_seed():
    program = _program(actor="gcnn")
    carry = program.start([3, 4, 5, 6])
    with models.seeded(5):
        copies = [keras.models.clone_model(m) for m in (program.actor, program.critic)]
    variables = [v for copy in copies for v in copy.trainable_variables]
    for stacked, variable in zip(carry.weights, variables, strict=True):
        np.testing.assert_array_equal(stacked[2], variable.numpy())


def test_networks_of_the_same_shape_start_from_different_weights():
    program = _program(actor="mlp")
    actor_kernel, critic_kernel = (program.start(range(4)).weights[i] for i in (0, 6))
    assert actor_kernel.shape == critic_kernel.shape
    assert np.abs(actor_kernel - critic_kernel).max() > 0.1


def test_the_loss_is_plain_clipped_ppo_without_a_kl_penalty():
    agent = make_ppo_agent(envs.make("CartPole"), PPOConfig())
    assert agent._kl_cutoff_factor == 0
    assert agent._initial_adaptive_kl_beta == 0
