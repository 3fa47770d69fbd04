import contextlib
import functools
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from compiling import eagerly

from tf_equirl import envs, models
from tf_equirl.dynamics import Transitions, all_transitions, collect_transitions
from tf_equirl.dynamics.equivariance import image_correlation, sample_pairs, transition_equivariance
from tf_equirl.dynamics.measures import rollout_errors, transition_errors
from tf_equirl.envs.environment import Environment
from tf_equirl.groups import Representation, Symmetry, dihedral_group, permutation_representation
from tf_equirl.training.population import initial_weights

pytestmark = pytest.mark.usefixtures("without_xla")

CATCH, CARTPOLE = envs.make("Catch"), envs.make("CartPole")
GCNNS = [kind for kind in models.TRANSITION_KINDS if kind.startswith("gcnn")]


class PlaneState(NamedTuple):
    position: tf.Tensor
    steps: tf.Tensor


class Plane(Environment):
    """A point of the square is pushed along the axes; its symmetry is that of the square, D4."""

    name, observation_shape, num_actions, num_uniforms = "Plane", (2,), 4, 2
    max_episode_steps = 20
    pushes = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)

    def __init__(self):
        turn, mirror = np.array([[0, -1], [1, 0]]), np.diag([1, -1])
        matrices = [np.linalg.matrix_power(turn, k) for k in range(4)]
        matrices = np.array(matrices + [m @ mirror for m in matrices], float)
        group = dihedral_group(4)
        moved = np.einsum("gij,aj->gai", matrices, self.pushes)
        permutations = (moved[:, :, None] == self.pushes).all(-1).argmax(-1)
        self.symmetry = Symmetry(
            group,
            state=Representation(group, matrices),
            action=permutation_representation(group, permutations),
        )

    def initial_state(self, uniforms):
        steps = tf.zeros(uniforms.shape[:-1], tf.int32)
        return PlaneState(tf.cast(uniforms, tf.float32) - 0.5, steps)

    def observe(self, state):
        return state.position

    def transition(self, state, action, uniforms):
        # A push is felt less far out: not linear.
        push = tf.gather(tf.constant(self.pushes), action)
        damping = 1.0 - 0.2 * tf.reduce_sum(tf.square(state.position), -1, keepdims=True)
        following = state._replace(position=state.position + 0.2 * push * damping)
        return following, tf.ones(action.shape), self.is_terminal(following)

    def is_terminal(self, state):
        return tf.reduce_any(tf.abs(state.position) > 1.0, axis=-1)

    def state_from_observation(self, observation):
        return PlaneState(observation, tf.zeros(observation.shape[:-1], tf.int32))


PLANE = Plane()
ENVS = {"Catch": CATCH, "CartPole": CARTPOLE, "Plane": PLANE}


class Truth(keras.layers.Layer):
    """The environment's own dynamics, times a weight that is 1 at first."""

    def __init__(self, env):
        super().__init__()
        self.env = env
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        observation, action = inputs
        state = self.env.state_from_observation(observation)
        uniforms = tf.zeros([*state.steps.shape, self.env.num_uniforms])
        following = self.env.transition(state, tf.argmax(action, -1, tf.int32), uniforms)[0]
        return self.scale * self.env.encode(following)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], self.env.transition_head.representation.dim)


def truth(env):
    inputs = [keras.Input(env.observation_shape), keras.Input((env.num_actions,))]
    return keras.Model(inputs, Truth(env)(inputs))


def small(env, kind, **arguments):
    return models.transition_model(
        env.symmetry, kind, (8, 8), head=env.transition_head, **arguments
    )


def bound(model, weights, member):
    """The model with the weights of one member."""
    copy = keras.models.clone_model(model)
    for variable, stacked in zip(copy.trainable_variables, weights, strict=True):
        variable.assign(stacked[member])
    return copy


def inputs_of(env, data):
    observation = env.observe(tf.nest.map_structure(tf.constant, data.state)).numpy()
    return observation, np.eye(env.num_actions, dtype=np.float32)[data.action]


@functools.cache
def pairs_of(name):
    return sample_pairs(ENVS[name], 200)


def random_data(env, count=40, seed=0):
    return collect_transitions(env, "random", count, seed, num_environments=8)


@pytest.mark.parametrize("name", ENVS)
@pytest.mark.parametrize("kind", GCNNS)
def test_every_untrained_gcnn_commutes_with_the_group_on_every_pair(name, kind):
    env = ENVS[name]
    model, pairs = small(env, kind), pairs_of(name)
    # Compiled, as it is used, where rounding matters most.
    compiled = (name, kind) == ("Plane", "gcnn-proximal")
    with contextlib.nullcontext() if compiled else eagerly():
        found = transition_equivariance(env, model, initial_weights(model, range(3)), pairs)
    assert found.commutes.shape == (3, 675 if name == "Catch" else 200)
    np.testing.assert_array_equal(found.share, 1)
    assert found.element_max.shape == (3, env.symmetry.group.order)
    # Where two candidates nearly tie, the band in which pooling averages them amplifies rounding.
    assert found.error_max.max() < 1e-4
    if name == "Catch":
        np.testing.assert_array_equal(found.mode_share, 1)
    else:
        assert found.mode_share is None
        assert found.first_mode_share is None


@pytest.mark.parametrize("name", ENVS)
def test_an_untrained_mlp_is_far_from_equivariant(name):
    env = ENVS[name]
    model = small(env, "mlp")
    with eagerly():
        found = transition_equivariance(
            env, model, initial_weights(model, range(3)), pairs_of(name)
        )
    assert found.share.max() < 0.05
    assert found.error_mean.min() > 0.1
    np.testing.assert_array_equal(found.element_max[:, 0], 0)
    if name == "Catch":
        assert found.mode_share.max() < 0.3


@pytest.mark.parametrize("name", ["Catch", "Plane"])
def test_equivariance_is_that_of_a_loop_over_members_and_elements(name):
    env = ENVS[name]
    model, pairs = small(env, "mlp"), sample_pairs(env, 50)
    weights, head = initial_weights(model, [3, 4]), env.transition_head
    tolerance = {"Catch": 1.3, "Plane": 1.6}[name]  # so that some commute and some do not
    found = transition_equivariance(env, model, weights, pairs, tolerance)
    observation, action = inputs_of(env, pairs)
    for member in range(2):
        one = bound(model, weights, member)
        outputs = one([observation, action]).numpy()
        scale = np.sqrt(np.mean(outputs**2))
        errors, first = [], np.ones(len(pairs), bool)
        for g in env.symmetry.group.elements:
            turned = observation @ env.symmetry.state.matrices[g].T.astype("float32")
            acted = action @ env.symmetry.action.matrices[g].T.astype("float32")
            matrix = head.representation.matrices[g].astype("float32")
            received, expected = one([turned, acted]).numpy(), outputs @ matrix.T
            errors.append(np.sqrt(np.mean((received - expected) ** 2, axis=1)) / scale)
            if name == "Catch":
                for a, b in zip(
                    np.split(received, [50], axis=1), np.split(expected, [50], axis=1), strict=True
                ):
                    first &= a.argmax(1) == b.argmax(1)
        errors = np.array(errors)
        np.testing.assert_allclose(found.element_max[member], errors.max(1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.element_mean[member], errors.mean(1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.error_mean[member], errors[1:].mean(), rtol=1e-4)
        np.testing.assert_array_equal(found.commutes[member], (errors <= tolerance).all(0))
        assert 0 < found.share[member] < 1
        if name == "Catch":
            np.testing.assert_array_equal(found.first_modes_commute[member], first)


def test_without_averaging_of_ties_the_pairs_that_the_mirror_leaves_fixed_break():
    pairs = sample_pairs(CATCH)
    s = pairs.state
    fixed = (s.ball_column == 2) & (s.paddle_column == 2) & (pairs.action == 1)
    assert fixed.sum() == 9
    share = {}
    for average in (True, False):
        model = small(CATCH, "gcnn-proximal", average_ties=average)
        weights = initial_weights(model, range(20))
        share[average] = transition_equivariance(CATCH, model, weights, pairs)
    np.testing.assert_array_equal(share[True].mode_share, 1)
    # But where a network's units are all dead, which happens to ones as narrow as these.
    assert share[False].commutes[:, fixed].mean() < 0.05
    assert share[False].modes_commute[:, fixed].mean() < 0.3
    assert 0.5 < share[False].commutes[:, ~fixed].mean() < 1
    # Exactly equivariant distributions, of which argmax takes one of two equal cells.
    assert share[True].first_modes_commute[:, fixed].mean() < 0.6
    assert share[True].first_modes_commute[:, ~fixed].mean() > 0.99


def test_sets_of_tied_categories_commute_though_the_first_of_them_do_not():
    model, pairs = truth(CATCH), sample_pairs(CATCH)
    with eagerly():
        found = transition_equivariance(CATCH, model, [np.array([1.0, 0.0], np.float32)], pairs)
    np.testing.assert_array_equal(found.commutes, True)  # also where all outputs are 0
    np.testing.assert_array_equal(found.modes_commute, True)
    np.testing.assert_array_equal(found.first_mode_share, [1, 0])


def test_sampled_pairs_are_all_of_a_finite_environment_and_visited_ones_of_another():
    assert len(sample_pairs(CATCH, 5)) == 675
    one, two = sample_pairs(CARTPOLE, 300, 1), sample_pairs(CARTPOLE, 300, 2)
    assert len(one) == 300
    assert not np.array_equal(one.state.physics, two.state.physics)
    assert not CARTPOLE.is_terminal(tf.nest.map_structure(tf.constant, one.state)).numpy().any()


@pytest.mark.parametrize("name", ENVS)
def test_one_step_errors_of_the_true_dynamics_are_0_and_of_its_negative_are_not(name):
    env = ENVS[name]
    data = all_transitions(env) if name == "Catch" else random_data(env)
    weights = [np.array([1.0, -1.0], np.float32)]
    with eagerly():
        errors = transition_errors(env, truth(env), weights, data)
    assert set(errors) == set(env.transition_head.metric_names)
    if name == "Catch":
        np.testing.assert_array_equal(errors["accuracy"], np.repeat([[1], [0]], 675, 1))
    else:
        target = env.encode(tf.nest.map_structure(tf.constant, data.next_state)).numpy()
        np.testing.assert_allclose(errors["mean_square"][0], 0, atol=1e-10)
        expected = np.mean((2 * target) ** 2, axis=1)
        np.testing.assert_allclose(errors["mean_square"][1], expected, rtol=1e-4, atol=1e-8)


def test_one_step_errors_are_those_of_each_member_and_leave_terminal_states_out():
    model, data = small(CARTPOLE, "mlp"), random_data(CARTPOLE)
    data.state.physics[3, 0] = 2.5
    weights = initial_weights(model, range(2))
    found = transition_errors(CARTPOLE, model, weights, data)["mean_square"]
    assert np.isnan(found[:, 3]).all()
    for member in range(2):
        outputs = bound(model, weights, member)(list(inputs_of(CARTPOLE, data))).numpy()
        expected = np.mean((outputs - data.next_state.physics) ** 2, axis=1)
        rows = np.arange(len(data)) != 3
        np.testing.assert_allclose(found[member, rows], expected[rows], rtol=1e-4)


def test_without_weights_the_model_is_measured_as_it_is():
    model, data = small(CARTPOLE, "gcnn-readout"), random_data(CARTPOLE)
    stacked = [w.numpy()[None] for w in model.trainable_variables]
    one = transition_errors(CARTPOLE, model, None, data)["mean_square"]
    np.testing.assert_array_equal(
        one, transition_errors(CARTPOLE, model, stacked, data)["mean_square"]
    )
    assert one.shape == (1, len(data))


@pytest.mark.parametrize("name", ENVS)
def test_the_true_dynamics_never_strays(name):
    env = ENVS[name]
    data = all_transitions(env) if name == "Catch" else random_data(env)
    errors = rollout_errors(env, truth(env), [np.array([1.0, -1.0], np.float32)], data, 12)
    assert errors.shape == (2, 12)
    steps = 9 if name == "Catch" else 12  # the longest way down the board
    np.testing.assert_allclose(errors[0, :steps], 0, atol=1e-8)
    assert errors[1, 0] > 1e-3
    assert np.isnan(errors[:, steps:]).all()


def test_the_error_after_one_step_is_the_one_step_error():
    model = small(CARTPOLE, "mlp")
    weights, start = initial_weights(model, range(2)), random_data(CARTPOLE)
    # All transitions that one random action may make; each row's action is one of the two.
    state = tf.nest.map_structure(tf.constant, start.state)
    both = []
    for action in range(2):
        actions = np.full(len(start), action, np.int32)
        following = CARTPOLE.transition(state, tf.constant(actions), tf.zeros([len(start), 4]))[0]
        data = Transitions.from_arrays(CARTPOLE, start.state, actions, following)
        with eagerly():
            both.append(transition_errors(CARTPOLE, model, weights, data)["mean_square"])
    for row in range(3):
        found = rollout_errors(CARTPOLE, model, weights, start.take([row]), 1, seed=row)[:, 0]
        assert any(np.allclose(found, one[:, row], rtol=1e-4) for one in both)


@pytest.mark.parametrize("name", ENVS)
def test_rollout_errors_are_those_of_an_eager_loop(name, monkeypatch):
    env, steps = ENVS[name], 12
    model = small(env, "mlp")
    weights = initial_weights(model, range(2))
    start = all_transitions(env) if name == "Catch" else random_data(env, 30)
    actions = np.random.default_rng(5).integers(env.num_actions, size=(steps, len(start)))
    actions = actions.astype(np.int32)

    class Generator:
        def integers(self, *_, **__):
            return actions

        def random(self, shape, dtype):
            return np.zeros(shape, dtype)

    monkeypatch.setattr(np.random, "default_rng", lambda *_: Generator())
    found = rollout_errors(env, model, weights, start, steps)
    for member in range(2):
        one = bound(model, weights, member)
        true = believed = tf.nest.map_structure(tf.constant, start.state)
        running = np.ones(len(start), bool)
        for k in range(steps):
            one_hot = tf.one_hot(actions[k], env.num_actions)
            outputs = one([env.observe(believed), one_hot])
            predicted = env.transition_head.prediction(outputs)
            believed = env.decode(predicted)
            zeros = tf.zeros([len(start), env.num_uniforms])
            true = env.transition(true, tf.constant(actions[k]), zeros)[0]
            difference = (predicted - env.encode(true)).numpy()
            error = (difference**2).mean(1) if name != "Catch" else difference.any(1)
            if running.any():
                np.testing.assert_allclose(found[member, k], error[running].mean(), rtol=1e-3)
            else:
                assert np.isnan(found[member, k])
            running &= ~env.is_terminal(true).numpy()


def test_rollouts_are_deterministic_by_seed():
    model, start = small(CARTPOLE, "mlp"), random_data(CARTPOLE)
    with eagerly():
        one, again, other = (
            rollout_errors(CARTPOLE, model, None, start, 3, seed) for seed in (1, 1, 2)
        )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, rtol=1e-3)


def test_image_correlation_is_pearsons_r_over_the_members():
    model = small(PLANE, "gcnn-averaged")
    weights, pairs = initial_weights(model, range(30)), random_data(PLANE, 3)
    found = image_correlation(PLANE, model, weights, pairs)
    assert found.shape == (3, 8, 2)
    np.testing.assert_allclose(found[:, 0], 1)
    images = []
    for member in range(30):
        one = bound(model, weights, member)
        imaging = keras.Model(one.inputs, one.get_layer("images").output)
        images.append(imaging(list(inputs_of(PLANE, pairs))).numpy())
    images = np.array(images)
    for row, g, k in [(0, 1, 0), (1, 5, 1), (2, 7, 0)]:
        expected = np.corrcoef(images[:, row, 0, k], images[:, row, g, k])[0, 1]
        np.testing.assert_allclose(found[row, g, k], expected, atol=1e-4)


def test_what_does_not_fit_is_refused():
    model, data = small(CARTPOLE, "mlp"), random_data(CARTPOLE, 8)
    weights = initial_weights(model, range(2))
    with pytest.raises(
        ValueError, match="`tolerance` must be a positive number. Received: tolerance=0"
    ):
        transition_equivariance(CARTPOLE, model, None, data, 0)
    with pytest.raises(ValueError, match="`pairs` must be of the environment Catch"):
        transition_equivariance(CATCH, small(CATCH, "mlp"), None, data)
    for wrong in (weights[:-1], [w[:1] if i else w for i, w in enumerate(weights)], []):
        with pytest.raises(ValueError, match=r"`weights` must hold an array \[members, ...\] for"):
            transition_errors(CARTPOLE, model, wrong, data)
    inputs = [keras.Input((4,)), keras.Input((2,))]
    three = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Concatenate()(inputs)))
    with pytest.raises(ValueError, match=r"`model` must map .* of CartPole to \(None, 4\)"):
        transition_errors(CARTPOLE, three, None, data)
    with pytest.raises(ValueError, match="`num_steps` must be a positive integer"):
        rollout_errors(CARTPOLE, model, weights, data, 0)
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        rollout_errors(CARTPOLE, model, weights, data, 1, seed=-1)
    with pytest.raises(ValueError, match="`model` must have transition images"):
        image_correlation(CARTPOLE, model, weights, data)
    averaged = small(CARTPOLE, "gcnn-averaged")
    with pytest.raises(ValueError, match="at least two members. Received: 1"):
        image_correlation(CARTPOLE, averaged, initial_weights(averaged, [0]), data)
