"""PPO on images of its data, and its loss of consistency."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from agent_cases import AUGMENTED, SMALL

from tf_equirl import envs
from tf_equirl.agents.ppo import learner as module
from tf_equirl.agents.ppo.learner import PPOLearner
from tf_equirl.training import randomness

MLP = dataclasses.replace(SMALL, actor="mlp", critic="mlp")
ENVS = ("CartPole", "Catch")


def learner_of(env="CartPole", **fields):
    config, env = dataclasses.replace(MLP, **fields), envs.make(env)
    return PPOLearner(env, config, *config.networks(env))


def bound(learner, weights, member):
    """The learner's networks with the weights of one member."""
    for role, model in learner.networks.items():
        for variable, stacked in zip(model.trainable_variables, weights.trained[role], strict=True):
            variable.assign(stacked[member])
    return learner.networks["actor"], learner.networks["critic"]


def batches(learner, index=3):
    state = learner.start([3, 4])
    _, rollout = learner.collect(state, tf.constant(index))
    batch = learner.batch(state.weights, rollout, state.settings)
    return state, batch, learner.augmented(state.weights, batch, state.seeds, index)


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("kind", ["random", "orbit"])
def test_every_row_is_an_image_and_has_a_ratio_of_1_under_the_acting_weights(kind, env):
    learner = learner_of(env, augmentation=kind)
    state, batch, images = batches(learner)
    symmetry = learner.env.symmetry
    order, rows = symmetry.group.order, learner.config.batch_size
    times = order if kind == "orbit" else 1
    actor, critic = bound(learner, state.weights, 1)
    seen, wrong = set(), 0.0
    for row in range(rows * times):
        source = row // times
        observation = images.observation[1, row].numpy()
        flat = batch.observation[1, source].numpy().reshape(-1)
        action = batch.action[1, source].numpy()
        which = [row % times] if kind == "orbit" else range(order)
        found = [
            g
            for g in which
            if np.array_equal(symmetry.move_states(g, flat), observation.reshape(-1))
            and symmetry.move_actions(g, action) == images.action[1, row].numpy()
        ]
        assert found
        seen |= set(found)
        logs = tf.nn.log_softmax(actor(observation[None]))[0, int(images.action[1, row])]
        ratio = np.exp(logs - images.log_prob[1, row])
        np.testing.assert_allclose(ratio, 1, atol=1e-5)
        np.testing.assert_allclose(critic(observation[None])[0, 0], images.value[1, row], atol=1e-5)
        wrong = max(wrong, abs(float(batch.log_prob[1, source] - images.log_prob[1, row])))
        assert images.advantage[1, row] == batch.advantage[1, source]
        assert images.returns[1, row] == batch.returns[1, source]
    assert seen == set(range(order))
    assert wrong > 0.01  # what was stored would have been another ratio


def test_the_gradient_of_an_orbit_is_the_mean_over_its_elements():
    """The loss is a mean over rows, so minibatches of whole orbits average over the group."""
    orbit, plain = learner_of(augmentation="orbit"), learner_of()
    state, batch, images = batches(orbit)
    numbers = orbit.shuffled(state.seeds, tf.constant(3))
    assert numbers.shape == (2, 6, 40)
    of_rows = numbers.numpy().reshape(2, 6, 20, 2)
    np.testing.assert_array_equal(of_rows // 2, of_rows[..., :1] // 2 * [1, 1])
    np.testing.assert_array_equal(of_rows[..., 0] // 2, plain.shuffled(state.seeds, 3))

    def gradients(learner, rows):
        part = tf.nest.map_structure(lambda x: tf.gather(x, rows, batch_dims=1), images)
        part = module.normalized(part)
        settings = learner.settings([learner.config] * 2)
        return tf.nest.flatten(learner.gradients(state.weights, part, settings)[0])

    step = numbers[:, 0]
    whole = gradients(orbit, step)
    parts = [gradients(plain, step[:, i::2]) for i in range(2)]
    for w, a, b in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(w, (a + b) / 2, atol=1e-5)
    assert np.abs(parts[0][0] - parts[1][0]).max() > 1e-3


def test_the_loss_of_consistency_and_its_gradient_are_those_of_the_paper():
    learner = learner_of("Catch", consistency_coefficient=0.5)
    plain = learner_of("Catch")
    state, batch, _ = batches(learner)
    part = module.normalized(tf.nest.map_structure(lambda x: x[:, :20], batch))
    elements = tf.constant(np.random.default_rng(0).integers(0, 2, (2, 20)), tf.int32)
    found, reported = learner.gradients(state.weights, part, state.settings, elements)
    settings = plain.settings([plain.config] * 2)
    without, losses = plain.gradients(state.weights, part, settings)
    np.testing.assert_allclose(reported[:4], losses, atol=1e-6)
    actor, critic = bound(learner, state.weights, 1)
    symmetry = learner.env.symmetry
    flat = part.observation[1].numpy().reshape(20, -1)
    images = np.stack([symmetry.move_states(g, s) for g, s in zip(elements[1], flat, strict=True)])
    images = images.reshape(part.observation[1].shape).astype("float32")
    inverses = symmetry.action.inverse_matrices[elements[1].numpy()]
    target, value = tf.nn.softmax(actor(part.observation[1])), critic(part.observation[1])
    variables = [v.value for v in (*actor.trainable_variables, *critic.trainable_variables)]
    with tf.GradientTape() as tape:
        back = tf.linalg.matvec(tf.constant(inverses, tf.float32), actor(images))
        kl = tf.reduce_sum(target * (tf.math.log(target) - tf.nn.log_softmax(back)), -1)
        loss = tf.reduce_mean(kl + 0.5 * tf.square(value - critic(images))[:, 0])
    np.testing.assert_allclose(reported[4][1], loss, rtol=1e-4)
    assert loss > 0.01
    expected = tape.gradient(loss, variables)
    ours = [g for role in ("actor", "critic") for g in found[role]]
    bare = [g for role in ("actor", "critic") for g in without[role]]
    for g, b, e in zip(ours, bare, expected, strict=True):
        np.testing.assert_allclose(g[1] - b[1], 0.5 * e, atol=2e-5)


def test_an_equivariant_agent_is_consistent():
    learner = learner_of(actor="gcnn", critic="invariant", consistency_coefficient=1.0)
    state, batch, _ = batches(learner)
    part = module.normalized(tf.nest.map_structure(lambda x: x[:, :20], batch))
    elements = tf.ones([2, 20], tf.int32)
    reported = learner.gradients(state.weights, part, state.settings, elements)[1]
    assert np.abs(reported[4]).max() < 1e-6


def test_rows_that_are_no_steps_count_for_nothing():
    learner = learner_of(consistency_coefficient=1.0, augmentation="orbit")
    state, batch, _ = batches(learner)
    observation, valid = batch.observation[0, :4], tf.constant([2.0, 0.0, 2.0, 0.0])
    part = tf.nest.map_structure(lambda x: x[0, :4], batch)._replace(valid=valid)
    elements = tf.ones([4], tf.int32)
    heads = bound(learner, state.weights, 1)

    def loss(part, rows):
        image = -tf.gather(observation, rows)
        part = tf.nest.map_structure(lambda x: tf.gather(x, rows), part)
        return module.inconsistency(learner.env, *heads, part, image, elements[: len(rows)])

    counted = loss(part._replace(valid=()), [0, 2])
    np.testing.assert_allclose(loss(part, [0, 1, 2, 3]), counted, atol=1e-6)
    assert counted > 1e-4


@pytest.mark.thorough
def test_without_either_the_program_is_that_of_before(monkeypatch):
    """Neither draws, moves nor stores anything; checkpoints hold the settings."""
    learner = learner_of()
    state = learner.start([3, 4])
    assert not any("consistency" in name for name in state.settings)
    for name in ("augmented", "inconsistency", "moved_observations", "drawn_elements"):
        monkeypatch.setattr(module, name, None)
    purposes = []

    def drawn(seeds, purpose, *arguments):
        purposes.append(purpose.name)
        return randomness.member_uniforms(seeds, purpose, *arguments)

    monkeypatch.setattr(module, "member_uniforms", drawn)
    learner.update(state, tf.constant(0))
    assert purposes == ["SHUFFLE"]


@pytest.mark.thorough
def test_all_of_it_trains_in_the_compiled_program_reproducibly():
    env = envs.make("CartPole")
    learner = AUGMENTED.learner(env)
    start = learner.start([4, 9, 4, 1, *range(20, 32)])
    state, reports = learner.stages["update"].run(start, 0, 2)
    assert reports["finite"][:2].numpy().all()
    assert (reports["consistency_loss"][:2].numpy() > 0).all()
    weights = tf.nest.flatten(state.weights.trained)
    for w, before in zip(weights, tf.nest.flatten(start.weights.trained), strict=True):
        np.testing.assert_array_equal(w[0], w[2])
        assert not np.array_equal(w[0], w[1]) and not np.array_equal(w[0], before[0])


def test_configs_that_differ_in_the_coefficient_share_a_program_unless_it_is_0():
    keys = {learner_of(consistency_coefficient=x).key for x in (0.1, 0.2)}
    keys |= {learner_of(augmentation=x).key for x in ("none", "random", "orbit")}
    assert len(keys) == 4
    settings = learner_of(consistency_coefficient=0.5).start([1]).settings
    assert keras.ops.convert_to_numpy(settings["consistency_coefficient"]) == [0.5]


def test_images_that_the_policy_would_hardly_choose_count_for_nothing():
    env = envs.make("Pendulum-v1")
    config = dataclasses.replace(MLP, augmentation="orbit", num_minibatches=1, num_epochs=1)
    learner = config.learner(env)
    state = learner.start([3, 4])
    *layers, bias, deviation = state.weights.trained["actor"]
    narrow = state.weights.trained | {"actor": [*layers, bias + 1.0, deviation - 4.0]}
    weights = state.weights._replace(trained=narrow)
    rng = np.random.default_rng(0)
    observation = tf.constant(rng.normal(size=(2, 5, 3)), tf.float32)
    parameters = learner.population.outputs("actor", weights, observation)
    action = env.action_distribution.act(
        parameters, tf.constant(rng.random((2, 5, 1)), "float32"), False
    )
    log_prob = env.action_distribution.log_prob(parameters, action)
    some = tf.constant(rng.normal(size=(2, 5)), tf.float32)
    batch = module.Batch(observation, action, log_prob, some, some, some)
    images = learner.augmented(weights, batch, state.seeds, tf.constant(0))
    valid = images.valid.numpy().reshape(2, 5, 2)
    assert valid[..., 0].all(), "the transitions themselves"
    assert not valid[..., 1].any()
    moved = env.action_distribution.log_prob(parameters, -action)
    assert float(tf.reduce_max(moved)) < -100

    def gradients(batch, weights):
        part = module.normalized(batch)
        own = learner.settings([config] * 2)
        bonus = {**own, "entropy_bonus": own["entropy_bonus"] * 0}
        return tf.nest.flatten(learner.gradients(weights, part, bonus)[0])

    # As it was when it acted, and after its mean has come to where the images are.
    there = state.weights.trained | {"actor": [*layers, bias - 1.0, deviation - 4.0]}
    for now in (weights, weights._replace(trained=there)):
        for found, alone in zip(gradients(images, now), gradients(batch, now), strict=True):
            assert np.isfinite(found).all()
            np.testing.assert_allclose(found, alone, rtol=1e-3, atol=1e-4)
