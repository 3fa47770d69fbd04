"""DrQ-v2 against an eager reference; schedule, resuming, evaluation, bad input."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from adam_reference import Adam
from agent_cases import Stop, assert_same
from compiling import uncompiled
from drqv2_cases import SEEDS, SMALL, small_pixels
from off_policy_reference import clone, rows_of, state_at, window_of

from tf_equirl import envs, evaluation
from tf_equirl.agents import DrQv2Config, load_drqv2_result, train_drqv2
from tf_equirl.agents.drqv2.gradient_steps import Learned
from tf_equirl.training.memory import Batch
from tf_equirl.training.randomness import Purpose, member_uniforms

ENV = small_pixels()


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


def moved_window(pictures, uniforms, most):
    """Each picture seen through a window of its size on itself, padded by its edges."""
    found, size = [], pictures.shape[1]
    for picture, (down, right) in zip(pictures, np.int32(uniforms * (2 * most + 1)), strict=True):
        padded = np.pad(picture, [(most, most), (most, most), (0, 0)], "edge")
        found.append(padded[down : down + size, right : right + size])
    return tf.constant(np.stack(found))


def penalty(*networks):
    return tf.add_n([tf.zeros([]), *(loss for network in networks for loss in network.losses)])


def reference(learner, before, buffer, drawn, index, member):
    """Update `index` of one member: eager, with plain Keras variables."""
    c, env = learner.config, learner.env
    parts = {
        role: clone(model, before.weights.trained[role], member)
        for role, model in learner.networks.items()
    }
    encoder, actor, critic = (parts[role] for role in ("encoder", "actor", "critic"))
    target = clone(learner.networks["critic"], before.target["critic"], member)
    of_critic, of_actor = (Adam(c, before.adam[role], member) for role in ("critic", "actor"))
    rate = c.learning_rate * (1 - index / c.num_updates)
    rows = rows_of(learner, buffer, index + 1, member)
    numbers, count, found = drawn(0), (index * c.phases - c.first_phase) * c.gradient_steps, []
    for phase in range(c.phases):
        first = index * c.rollout_steps + phase * c.phase_steps
        end = first + c.phase_steps
        deviation = c.deviation(index * c.update_timesteps + phase * c.train_every)
        state = state_at(rows, slice(first, end))
        seen = tf.reshape(env.observe(state), [-1, *env.observation_shape])
        noise = tf.math.ndtri(numbers["acting"][phase, :, member] + 2.0**-24)
        acted = tf.reshape(actor(encoder(seen)), noise.shape) + deviation * noise
        np.testing.assert_allclose(np.clip(acted, -1, 1), rows.action[first:end], atol=1e-5)
        for step in range(c.gradient_steps):
            count += 1
            numbers = drawn(count)
            places = np.int32(numbers["rows"][member, phase, step] * (end * c.num_environments))
            starts = [(n // c.num_environments, n % c.num_environments) for n in places]
            reward, weight, states = zip(
                *(window_of(learner, rows, start, end) for start in starts), strict=True
            )
            state = tf.nest.map_structure(lambda *x: tf.stack(x), *states)
            shifts = numbers["shifts"][member]
            following = moved_window(env.observe(state).numpy(), shifts[1], c.shift)
            state = state_at(rows, tuple(np.transpose(starts)))
            seen = moved_window(env.observe(state).numpy(), shifts[0], c.shift)
            action = np.stack([rows.action[start] for start in starts])
            noise = deviation * tf.math.ndtri(numbers["noise"][member] + 2.0**-24)
            noise = np.clip(noise, -c.noise_clip, c.noise_clip)
            then = encoder(following)
            chosen = np.clip(actor(then) + noise[0], -1, 1)
            values = np.min(target([then, tf.constant(chosen)]), axis=1)
            goal = np.float32(np.array(reward) + np.array(weight) * values)
            variables = [v.value for m in (critic, encoder) for v in m.trainable_variables]
            with tf.GradientTape() as tape:
                features = encoder(seen)
                both = critic([features, tf.constant(action)])
                loss = tf.reduce_sum(tf.reduce_mean((both - goal[:, None]) ** 2, axis=0))
                total = loss + penalty(critic, encoder)
            norm = of_critic.step(variables, tape.gradient(total, variables), count, rate)
            row = [float(loss), None, float(tf.reduce_mean(both[:, 0])), norm]
            variables = [v.value for v in actor.trainable_variables]
            with tf.GradientTape() as tape:
                mean = actor(tf.constant(features.numpy())) + noise[1]
                cut = mean + tf.stop_gradient(tf.clip_by_value(mean, -1, 1) - mean)
                loss = -tf.reduce_mean(tf.reduce_min(critic([features, cut]), axis=1))
                total = loss + penalty(actor)
            of_actor.step(variables, tape.gradient(total, variables), count, rate)
            row[1] = float(loss)
            found.append(row)
            for old, new in zip(target.variables, critic.variables, strict=True):
                old.assign((1 - c.tau) * old + c.tau * new)
    return parts, target, np.array(found)


def check_update(learner, seeds, index=4):
    """Update `index` of the program that `train_drqv2` uses against the reference."""
    c, update = learner.config, learner.stages["update"]
    state, _ = update.run(learner.start(seeds), 0, index)
    # The next call writes to the buffer of this state, but no row that was written before.
    after, reports = update.run(state, index, 1)
    actions = learner.env.action_distribution.num_uniforms

    @tf.function(jit_compile=True)
    def numbers(count):
        of_update = learner.numbers(state.seeds, tf.constant(index))
        acting = of_update.acting[..., :actions]
        found = {"acting": acting, "rows": of_update.rows}
        for name, purpose, axes in (
            ("shifts", Purpose.AUGMENTATION, 2),
            ("noise", Purpose.LEARNING, actions),
        ):
            shape = [2, c.batch_size, axes]
            found[name] = member_uniforms(state.seeds, purpose, count, shape)
        return found

    def drawn(count):
        return {name: x.numpy() for name, x in numbers(tf.constant(count)).items()}

    for member in (0, len(seeds) - 1):
        parts, target, found = reference(learner, state, after.buffer, drawn, index, member)
        pairs = [(parts[role], ours) for role, ours in after.weights.trained.items()]
        for model, ours in [*pairs, (target, after.target["critic"])]:
            for variable, values in zip(model.trainable_variables, ours, strict=True):
                # A hundredth of what one step of Adam changes.
                np.testing.assert_allclose(values[member], variable, atol=1e-5)
        for name, of_steps in zip(learner.losses, found.T, strict=False):
            ours = reports[name][0, member]
            np.testing.assert_allclose(ours, of_steps.mean(), rtol=1e-4, atol=1e-5)
        assert found[:, -1].max() > c.max_gradient_norm  # and so was bounded
    assert not np.isnan(reports["returns"][0]).all()  # episodes ended
    old, new = ({**s.weights.trained, "target": s.target["critic"]} for s in (state, after))
    for role, least in (("encoder", 5e-4), ("actor", 5e-4), ("critic", 5e-4), ("target", 1e-4)):
        moved = [np.abs(a - b).max() for a, b in zip(new[role], old[role], strict=True)]
        assert max(moved) > least


# With an Adam by which the rounding of small gradients stays small.
BOUNDED = dataclasses.replace(
    SMALL, anneal_learning_rate=True, max_gradient_norm=0.5, adam_epsilon=1e-3
)


@pytest.mark.thorough
def test_an_update_equals_the_eager_unvectorised_reference():
    check_update(BOUNDED.learner(ENV), SEEDS)


@pytest.mark.thorough
def test_so_does_one_of_relaxed_networks_with_their_penalties():
    fields = {"networks": "relaxed", "relaxation_rate": 3.0, "spread_penalty": 0.1}
    with uncompiled():
        check_update(
            dataclasses.replace(BOUNDED, **fields).learner(small_pixels("Reacher")), [3, 1]
        )


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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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
    with pytest.raises(ValueError, match=r"`env` must have pictures .* envs.Pixels\(\)"):
        train_drqv2("CartPoleSwingup", SMALL)
    with pytest.raises(ValueError, match='policy="gaussian"'):
        train_drqv2(envs.Pixels(size=13, policy="squashed_gaussian"), SMALL)
