"""The compiled update of PPO against an eager, unvectorised reference, and its promises."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from adam_reference import Adam
from agent_cases import SMALL
from compiling import compiles

from tf_equirl import envs, models
from tf_equirl.agents import PPOConfig, make_ppo_agent
from tf_equirl.agents.ppo.learner import LOSSES, Batch, PPOLearner
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.training import programs

# Members at once: a block that `train_ppo` uses, and another number than that of environments.
MEMBERS = 8
# Each update has a step size of its own.
ANNEALED = dataclasses.replace(SMALL, anneal_learning_rate=True)


def _learner(config=ANNEALED, env="CartPole", **fields):
    config, env = dataclasses.replace(config, **fields), envs.make(env)
    return PPOLearner(env, config, *config.networks(env))


def _run(learner, state, first, number):
    """So many updates, in the program that `train_ppo` uses."""
    return learner.stages["update"].run(state, first, number)


def _flat(weights):
    """Stacked weights of actor and critic, in Keras' order."""
    return [w for role in ("actor", "critic") for w in weights.trained[role]]


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


def _reference_update(learner, state, batch, order, index, member):
    """All minibatches of one member: eager, one after the other, plain Keras variables."""
    config, (actor, critic) = learner.config, learner.networks.values()
    variables = [*actor.trainable_variables, *critic.trainable_variables]
    for variable, stacked in zip(variables, _flat(state.weights), strict=True):
        variable.assign(stacked[member])
    adam = Adam(config, state.adam, member)
    rate = config.learning_rate
    if config.anneal_learning_rate:
        rate *= 1 - index / config.num_updates
    count = index * config.num_epochs * config.num_minibatches
    losses = []
    for rows in order[member].numpy():
        part = [x[member].numpy()[rows] for x in batch[:6]]
        with tf.GradientTape() as tape:
            total, parts = _reference_loss(config, actor, critic, part)
        gradients = tape.gradient(total, [v.value for v in variables])
        count += 1
        norm = adam.step(variables, gradients, count, rate)
        losses.append([*map(float, parts), norm])
    return [v.numpy() for v in variables], np.mean(losses, axis=0)


@pytest.fixture(scope="module")
def learner():
    return _learner()


def test_an_update_equals_the_eager_unvectorised_reference(learner):
    state, _ = _run(learner, learner.start(range(MEMBERS)), 0, 3)
    index = tf.constant(3)
    prepare = tf.function(
        lambda s: (
            learner.batch(s.weights, learner.collect(s, index)[1], s.settings),
            learner.shuffled(s.seeds, index),
        ),
        jit_compile=True,
        autograph=False,
    )
    batch, order = prepare(state)
    after, reports = _run(learner, state, 3, 1)
    for member in (0, 7):
        weights, losses = _reference_update(learner, state, batch, order, 3, member)
        for ours, reference in zip(_flat(after.weights), weights, strict=True):
            np.testing.assert_allclose(ours[member], reference, atol=1e-5)
        names = ("policy_loss", "value_loss", "entropy", "gradient_norm")
        reported = [reports[name][0, member] for name in names]
        np.testing.assert_allclose(reported, losses, rtol=1e-4, atol=1e-5)
    moved = np.abs(_flat(after.weights)[0] - _flat(state.weights)[0]).max()
    assert moved > 1e-4  # ten times the tolerance: the comparison is not one of zeros


def test_it_compiles_once_for_all_seeds_states_and_numbers_of_updates(learner):
    """Nor silently, which the count of traces misses."""
    _run(learner, learner.start(range(MEMBERS)), 0, 0)
    states = {first: learner.start(range(first, first + MEMBERS)) for first in (10, 20, 30)}
    program = programs.cached(("update", 32, learner.key), None)
    assert program.experimental_get_tracing_count() == 1

    def run():
        for (first, state), number in zip(states.items(), (1, 3, 0), strict=True):
            _run(learner, state, first, number)[1]["finite"].numpy()

    assert not compiles(run)
    assert program.experimental_get_tracing_count() == 1
    once = tf.function(lambda x: x + 1, jit_compile=True)
    assert compiles(lambda: once(tf.ones([])).numpy()), "the profiler must tell"


def test_the_split_into_calls_changes_nothing_and_equal_seeds_give_equal_members(learner):
    start = learner.start([4, 9, 4, 1, 0, 2, 3, 5])
    at_once, reports = _run(learner, start, 0, 6)
    state, parts = start, []
    for first, number in ((0, 1), (1, 3), (4, 2)):
        state, rows = _run(learner, state, first, number)
        parts.append(rows["returns"][:number])
    for a, b in zip(tf.nest.flatten(at_once), tf.nest.flatten(state), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(reports["returns"][:6], np.concatenate(parts))
    for w in _flat(at_once.weights):
        np.testing.assert_array_equal(w[0], w[2])
        assert not np.array_equal(w[0], w[1])


def test_the_values_that_the_advantages_rest_on_are_the_true_ones():
    learner = _learner(SMALL, actor="mlp")
    state = learner.start(range(4))
    _, rollout = learner.collect(state, tf.constant(0))
    batch = learner.batch(state.weights, rollout, state.settings)
    ended = rollout.terminated | rollout.truncated
    assert tf.reduce_any(ended)
    # Inside an episode the true next observation is the next one acted on; at its end it is not.
    same = np.all(rollout.next_observation[:-1] == rollout.observation[1:], axis=-1)
    np.testing.assert_array_equal(same, ~ended[:-1].numpy())
    critic = learner.networks["critic"]
    stacked = state.weights.trained["critic"]
    for variable, weights in zip(critic.trainable_variables, stacked, strict=True):
        variable.assign(weights[2])
    expected = critic(rollout.observation[:, 2, 1])[:, 0]
    # Rows are ordered by step, then environment.
    np.testing.assert_allclose(batch.value[2, 1::4], expected, atol=1e-5)


def _batch(members=2, rows=20):
    rng = np.random.default_rng(0)
    floats = [rng.normal(size=(members, rows)).astype("float32") for _ in range(3)]
    advantage = floats[1]
    floats[1] = (advantage - advantage.mean(1)[:, None]) / advantage.std(1)[:, None]
    return Batch(
        tf.constant(rng.normal(size=(members, rows, 4)), tf.float32),
        tf.constant(rng.integers(0, 2, (members, rows))),
        tf.constant(np.log(rng.uniform(0.3, 0.7, (members, rows))), tf.float32),
        *map(tf.constant, floats),
    )


def test_a_coefficient_of_zero_leaves_a_part_out_and_still_reports_it():
    """What is reported is the loss itself; the gradient is the sum of its parts."""
    batch, gradients, losses = _batch(), {}, {}
    for coefficients in ((0, 0), (1, 0), (0, 1), (0.5, 0.01)):
        value, entropy = coefficients
        learner = _learner(
            # Minibatches of 20 rows, as the batch has.
            PPOConfig(actor="mlp", hidden_units=(7,), rollout_steps=20),
            value_coefficient=value,
            entropy_coefficient=entropy,
        )
        state = learner.start([3, 4])
        weights = state.weights
        found, reported = learner.gradients(weights, batch, state.settings)
        gradients[coefficients], losses[coefficients] = found, np.array(reported)
        nothing = [np.all(g == 0) for g in found["critic"]]
        assert all(nothing) if not value else not any(nothing)
    for found in losses.values():
        np.testing.assert_allclose(found, losses[0.5, 0.01], rtol=1e-5, atol=1e-6)
    actor, critic = learner.networks.values()
    for variable, stacked in zip(
        [*actor.trainable_variables, *critic.trainable_variables], _flat(weights), strict=True
    ):
        variable.assign(stacked[1])
    # Which normalises advantages: here they are so already.
    _, parts = _reference_loss(learner.config, actor, critic, [x[1].numpy() for x in batch[:6]])
    assert LOSSES[:3] == ("policy_loss", "value_loss", "entropy")
    own = [x[1] for x in reported[:3]]
    np.testing.assert_allclose(own, parts, rtol=1e-4, atol=1e-5)
    assert own[1] > 0.1 and own[2] > 0.1
    policy, with_value, with_entropy, both = map(tf.nest.flatten, gradients.values())
    for p, v, e, x in zip(policy, with_value, with_entropy, both, strict=True):
        np.testing.assert_allclose(x, p + 0.5 * (v - p) + 0.01 * (e - p), rtol=1e-3, atol=1e-6)


def test_initial_weights_are_those_of_models_built_under_the_seed(learner):
    state = learner.start([3, 4, 5, 6])
    with models.seeded(5):
        copies = [keras.models.clone_model(m) for m in learner.networks.values()]
    variables = [v for copy in copies for v in copy.trainable_variables]
    for stacked, variable in zip(_flat(state.weights), variables, strict=True):
        np.testing.assert_array_equal(stacked[2], variable.numpy())


def test_networks_of_the_same_shape_start_from_different_weights():
    trained = _learner(SMALL, actor="mlp", critic="mlp").start(range(4)).weights.trained
    actor_kernel, critic_kernel = trained["actor"][0], trained["critic"][0]
    assert actor_kernel.shape == critic_kernel.shape
    assert np.abs(actor_kernel - critic_kernel).max() > 0.1


def test_the_loss_is_plain_clipped_ppo_without_a_kl_penalty():
    agent = make_ppo_agent(envs.make("CartPole"), PPOConfig())
    assert agent._kl_cutoff_factor == 0
    assert agent._initial_adaptive_kl_beta == 0


def test_programs_are_shared_by_what_computes_the_same():
    """Neither a run's length nor what is data of a program counts."""
    key = _learner(SMALL).key
    assert _learner(SMALL, total_timesteps=6000).key == key
    given = models.actor(envs.make("CartPole").symmetry, SMALL.actor, (7, 5))
    config = dataclasses.replace(SMALL, actor="mlp")  # which then says nothing
    networks = config.networks(envs.make("CartPole"), actor=given)
    assert PPOLearner(envs.make("CartPole"), config, *networks).key == key
    data = {f: getattr(SMALL, f) / 2 for f in PPOLearner.per_member if f[:6] != "anneal"}
    assert _learner(SMALL, **data, anneal_learning_rate=True).key == key
    keys = {key}
    for fields in (
        {"actor": "mlp"},
        {"critic": "mlp"},
        {"hidden_units": (7, 6)},
        {"rollout_steps": 12},
        {"num_epochs": 3},
        {"clip_value": 0.0},
        {"env": CartPole(max_episode_steps=20)},
        {"env": type("CartPole", (CartPole,), {})()},
    ):
        keys.add(_learner(SMALL, **fields).key)
    assert len(keys) == 9
