"""DrQ-v2 against an eager reference; schedule, resuming, evaluation, bad input."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from agent_cases import Stop, assert_same
from compiling import uncompiled
from drqv2_cases import SEEDS, SMALL, small_pixels

from tf_equirl import envs, evaluation
from tf_equirl.agents import DrQv2Config, load_drqv2_result, train_drqv2
from tf_equirl.agents.drqv2.gradient_steps import Learned
from tf_equirl.training.memory import Batch

ENV = small_pixels()


def clone(model, weights, member):
    copy = keras.models.clone_model(model)
    for variable, value in zip(copy.trainable_variables, weights, strict=True):
        variable.assign(value[member])
    return copy


def test_losses_and_gradients_equal_an_eager_reference():
    learner, rng = SMALL.learner(ENV), np.random.default_rng(0)
    state, rows = learner.start([3, 1]), 9
    pictures = rng.uniform(-0.5, 0.5, (2, 2, rows, *ENV.observation_shape)).astype(np.float32)
    batch = Batch(
        tf.constant(pictures[0]),
        tf.constant(rng.uniform(-1, 1, (2, rows, 1)).astype(np.float32)),
        tf.constant(rng.normal(size=(2, rows)).astype(np.float32)),
        tf.constant(rng.choice([0.0, 0.9**3], (2, rows)).astype(np.float32)),
        tf.constant(pictures[1]),
    )
    noise = tf.constant(rng.uniform(-0.4, 0.4, (2, 2, rows, 1)).astype(np.float32))
    other = {"critic": [w + 0.1 for w in state.target["critic"]]}
    learned = Learned(state.weights, other, state.adam, [])
    goal = learner.steps.goals(learned, batch, noise[:, 0])
    seeing = state.weights.of("encoder", "critic")
    ones = tf.ones([2, rows])
    found, (loss, _, features) = learner.steps.critic_gradients(seeing, batch, goal, ones)
    of_critic = state.weights.of("critic")
    of_actor, actor_loss = learner.steps.actor_gradients(
        state.weights.of("actor"), of_critic, features, noise[:, 1], ones
    )
    assert set(of_actor) == {"actor"} and set(found) == {"encoder", "critic"}
    for member in range(2):
        parts = {
            role: clone(model, state.weights.trained[role], member)
            for role, model in learner.networks.items()
        }
        target = clone(learner.networks["critic"], other["critic"], member)
        seen = parts["encoder"](batch.next_observation[member])
        action = np.clip(parts["actor"](seen) + noise[member, 0], -1, 1)
        value = np.min(target([seen, tf.constant(action)]), axis=1)
        expected = batch.reward[member].numpy() + batch.weight[member].numpy() * value
        np.testing.assert_allclose(goal[member], expected, atol=1e-5)
        variables = [parts[role].trainable_variables for role in ("encoder", "critic")]
        with tf.GradientTape() as tape:
            seen = parts["encoder"](batch.observation[member])
            both = parts["critic"]([seen, batch.action[member]])
            total = tf.reduce_mean((both[:, 0] - expected) ** 2)
            total += tf.reduce_mean((both[:, 1] - expected) ** 2)
        for role, ours in zip(("encoder", "critic"), tape.gradient(total, variables), strict=True):
            for one, theirs in zip(ours, found[role], strict=True):
                np.testing.assert_allclose(one, theirs[member], atol=1e-4)
        np.testing.assert_allclose(total, loss[member], rtol=1e-4)
        with tf.GradientTape() as tape:
            mean = parts["actor"](tf.constant(seen.numpy())) + noise[member, 1]
            cut = mean + tf.stop_gradient(tf.clip_by_value(mean, -1, 1) - mean)
            total = -tf.reduce_mean(tf.reduce_min(parts["critic"]([seen, cut]), axis=1))
        ours = tape.gradient(total, parts["actor"].trainable_variables)
        for one, theirs in zip(ours, of_actor["actor"], strict=True):
            np.testing.assert_allclose(one, theirs[member], atol=1e-4)
        np.testing.assert_allclose(total, actor_loss[member], rtol=1e-4, atol=1e-6)


def test_noise_has_the_deviation_of_the_schedule_and_is_cut_off():
    config = dataclasses.replace(SMALL, batch_size=2000, noise_clip=1e3)
    learner = config.learner(ENV)
    state = learner.start([3])
    assert [config.deviation(t) for t in (0, 50, 1000)] == pytest.approx([1.0, 0.55, 0.1])
    for number, timestep in ((1, 30), (2, 30), (3, 40), (101, 530)):
        # Gradient steps are in pairs, after 40 steps first; noise is that of the steps before.
        found = learner.noise(state, tf.constant(number)).numpy()
        assert found.shape == (1, 2, 2000, 1) and abs(found.mean()) < 0.1
        np.testing.assert_allclose(found.std(), config.deviation(timestep), rtol=0.06)
    clipped = dataclasses.replace(SMALL, noise_clip=0.25).learner(ENV)
    assert np.abs(clipped.noise(clipped.start([3]), tf.constant(1))).max() == 0.25


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return train_drqv2(ENV, SMALL, SEEDS, folder, evaluate_every=6, evaluation_episodes=3)


def test_the_result_is_one_of_training(finished):
    assert finished.finished and finished.returns.shape == (4, 120)
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert (run["trainer"], DrQv2Config.from_json(run["config"])) == ("train_drqv2", SMALL)
    losses = finished.metrics["critic_loss"]
    assert np.isnan(losses[:, 0]).all() and np.isfinite(losses[:, 1:]).all()
    np.testing.assert_allclose(finished.metrics["deviation"][:, -1], 0.1, rtol=1e-5)
    assert not np.array_equal(finished.returns[0], finished.returns[1])
    with uncompiled():  # which takes less time
        played = evaluation.evaluate(finished.actor(9), ENV, episodes=3)
    np.testing.assert_allclose(finished.evaluations.returns[3, -1], played.mean, rtol=1e-4)


def test_the_law_holds_after_updates(finished):
    fresh = SMALL.learner(ENV).start([5]).weights.trained["encoder"][0][0]
    assert np.abs(finished.weights["encoder"][0][0] - fresh).max() > 1e-3
    state, critic = ENV.reset([0, 1], [6]), finished.critic(5)
    encoder, actor = finished.model("encoder", 5), finished.model("actor", 5)
    action = tf.constant(np.linspace(-1, 1, 6, dtype=np.float32)[:, None])
    found = [
        (actor(seen).numpy(), critic([seen, sign * action]).numpy())
        for sign, seen in (
            (sign, encoder(ENV.observe(ENV.moved(element, state))))
            for element, sign in enumerate((1.0, -1.0))
        )
    ]
    np.testing.assert_allclose(found[0][0], -found[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)


def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_drqv2(ENV, SMALL, SEEDS, tmp_path / "run", on_progress=Stop(5))
    assert_same(train_drqv2(ENV, SMALL, SEEDS, tmp_path / "run", resume=True), finished)
    assert_same(load_drqv2_result(finished.run_dir), finished)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("networks", "mlp", "one of cnn, gcnn, relaxed, rpp"),
        ("features", 0, "a positive integer"),
        ("n_steps", 0, "a positive integer"),
        ("tau", 0.0, "a number above 0 and at most 1"),
        ("deviation_end", 2.0, "at most deviation_start = 1.0"),
        ("noise_clip", -0.1, "a finite number of at least 0"),
        ("shift", 65, "an integer from 0 to 64"),
        ("buffer_size", 63, "at least batch_size = 64"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=f"`{field}` must be {rule}.*Received: {field}="):
        DrQv2Config(**{field: value})


def test_presets_and_json():
    for name in DrQv2Config.PRESETS:
        config = DrQv2Config.preset(name)
        assert DrQv2Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert DrQv2Config.preset("published").hidden_units == (1024, 1024)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match="`env` must have continuous actions"):
        train_drqv2("CartPole", SMALL)
    with pytest.raises(ValueError, match='policy="gaussian"'):
        train_drqv2(envs.Pixels(size=13, policy="squashed_gaussian"), SMALL)
