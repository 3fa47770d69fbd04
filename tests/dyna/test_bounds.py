"""Imagined states stay where states are: within declared bounds, or what the buffer has seen."""

import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import BOX, CUPS, Box, BoxState, CupsState, compiled, learner_of, number

from tf_equirl import envs
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.model_population import Kept
from tf_equirl.envs import check_symmetry
from tf_equirl.training.run import Run

# Half of the planning that is done by default between two fits. It is enough: without bounds
# imagined states grow until some numbers are infinite.
CONFIG = DynaConfig.from_flat(
    actor="mlp",
    hidden_units=(16,),
    total_timesteps=512,
    dyna_iterations=1,
    planning_ratio=38,
    model_hidden_units=(16, 16),
)
SEEDS = (0, 1, 2, 3)


class Declared(Box):
    """A box that says how far its states go: not as far as they are seen."""

    def encoding_bounds(self):
        high = np.array([0.5, 0.5, 0.25, 0.25], np.float32)
        return -high, high


def test_the_box_has_the_symmetry_of_the_square():
    assert BOX.symmetry.group.order == 8
    assert check_symmetry(BOX).worst < 1e-6


@pytest.fixture(scope="module")
def planned():
    """The learner, its state when planning begins, and the result of the run."""
    learner = learner_of(BOX, CONFIG)
    begun = []

    def told(_):
        if run.state.done["measure"] and not begun:
            begun.append(run.state.states[0])

    run = Run(learner, SEEDS, None, told)
    result = run.train()
    return learner, begun[0], result


@pytest.mark.thorough
def test_planning_in_a_box_stays_finite(planned):
    """Models that may leave it grow over 60 steps: without bounds this run ends in NaN."""
    _, _, result = planned
    assert result.planned_updates.tolist() == [[38]] * 4
    for weights in tf.nest.flatten(result.weights):
        assert np.isfinite(weights).all()
    # No return is worse than that of 60 steps in a corner.
    assert result.imagined_returns.shape == (4, 1)
    assert (result.imagined_returns < 0).all()
    assert (result.imagined_returns > -60 * np.sqrt(2) * 1.001).all()


def invariant(low, high, matrices):
    """Whether every element of the group maps a box onto itself."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, len(low))
    for matrix in matrices:
        images = corners @ matrix.T
        np.testing.assert_allclose(images.min(0), low, rtol=1e-6)
        np.testing.assert_allclose(images.max(0), high, rtol=1e-6)


@pytest.mark.thorough
def test_imagined_states_stay_within_what_the_buffer_has_seen(planned):
    learner, begun, _ = planned

    @compiled
    def imagine(state):
        env = learner._imagined(state, state.planning.bounds, number(512))
        free = learner._imagined(state, [], number(512))
        start = state.agent._replace(acting=state.planning.acting)
        collect = learner.agent.collect
        return [collect(start, number(-9), e, with_states=True)[1] for e in (env, free)]

    bounded, free = imagine(begun)
    seen = np.concatenate(
        [BOX.encode(s).numpy() for s in (begun.buffer.state, begun.buffer.next_state)], axis=1
    )
    outside = []
    for member in range(4):
        low, high = (x[member].numpy() for x in begun.planning.bounds)
        invariant(low, high, BOX.symmetry.state.matrices)
        assert (low <= seen[member]).all() and (seen[member] <= high).all()
        assert np.abs(seen[member, :, :2]).max() == high[0]  # and no farther
        encoding = BOX.encode(bounded.next_state).numpy()[:, member]
        assert (low <= encoding).all() and (encoding <= high).all()
        # An episode ends where it would have left, and at the walls of it alone.
        at_bound = ((encoding == low) | (encoding == high)).any(axis=-1)
        cut = np.asarray(bounded.truncated)[:, member]
        limit = np.asarray(bounded.next_state.steps)[:, member] == BOX.max_episode_steps
        assert (cut <= (at_bound | limit)).all()
        encoding = BOX.encode(free.next_state).numpy()[:, member]
        outside.append(((encoding < low) | (encoding > high)).any(axis=-1).mean())
    assert np.mean(outside) > 0.05  # the model does leave them where it may


def test_what_was_seen_is_the_box_around_the_rows_that_are_held():
    """Row by row with NumPy; of D4 that of the farthest coordinate, of S3 that of any cup."""
    rng = np.random.default_rng(0)
    members, capacity, filled = 3, 11, 7
    shape = [members, capacity]
    steps, action = np.zeros(shape, np.int32), tf.zeros(shape, tf.int32)

    def rows(state_type, *dims):
        """The rows that are not held are far away, which no bound may tell."""
        far = np.where(np.arange(capacity) < filled, 1, 1e6)[:, None]
        parts = [rng.normal(size=[*shape, dim]) * far + 0.3 for dim in dims]
        return state_type(*(tf.constant(x, tf.float32) for x in parts), tf.constant(steps))

    config = DynaConfig.from_flat(actor="mlp", hidden_units=(4,), model_hidden_units=(4,))
    for env, make in (
        (BOX, lambda: rows(BoxState, 2, 2)),
        (CUPS, lambda: rows(CupsState, 3)),
    ):
        learner = learner_of(env, config)
        buffer = Kept(make(), action, make())
        low, high = (x.numpy() for x in learner._seen_bounds(buffer, number(filled)))
        seen = [env.encode(s).numpy()[:, :filled] for s in (buffer.state, buffer.next_state)]
        seen = np.concatenate(seen, axis=1)
        for member in range(members):
            rows_of = seen[member]
            if env is BOX:
                position, velocity = (np.abs(rows_of[:, i : i + 2]).max() for i in (0, 2))
                expected = np.array([position, position, velocity, velocity])
                np.testing.assert_allclose(low[member], -expected, rtol=1e-5)
                np.testing.assert_allclose(high[member], expected, rtol=1e-5)
            else:
                np.testing.assert_allclose(low[member], [rows_of.min()] * 3, rtol=1e-5)
                np.testing.assert_allclose(high[member], [rows_of.max()] * 3, rtol=1e-5)
            invariant(low[member], high[member], env.transition_head.representation.matrices)


def test_declared_bounds_are_kept_whatever_was_seen():
    env = Declared()
    learner = learner_of(env, CONFIG)
    state = learner.start(SEEDS)
    far = tf.nest.map_structure(lambda x: x + tf.cast(9, x.dtype), state.buffer)
    planning, _ = learner.begin_planning(
        state._replace(buffer=far), number(0), number(512), number(3)
    )
    low, high = env.encoding_bounds()
    for bounds in (state.planning.bounds, planning.bounds):
        np.testing.assert_array_equal(bounds[0], [low] * 4)
        np.testing.assert_array_equal(bounds[1], [high] * 4)
    # A step of a model, which knows of no bounds, ends on them and is cut off there.
    weights = tf.nest.map_structure(lambda w: 50.0 * w, state.model)
    step = learner._dynamics(weights, planning.bounds)
    start = env.initial_state(tf.random.stateless_uniform([4, 6, 2], [0, 1]) * 0.2 + 0.4)
    following, _, _, cut = step(start, tf.zeros([4, 6], tf.int32), tf.zeros([4, 6, 2]))
    encoding = env.encode(following).numpy()
    assert (low <= encoding).all() and (encoding <= high).all()
    at_bound = ((encoding == low) | (encoding == high)).any(axis=-1)
    np.testing.assert_array_equal(cut, at_bound)
    assert at_bound.any()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("CartPole", {}),  # which declares infinite ones: states of all kinds are its own
        ("Catch", {}),  # categories cannot grow
        ("CartPole", {"model_kind": "environment"}),  # the truth leaves nothing
    ],
)
def test_where_there_is_nothing_to_bound_there_are_no_bounds(name, fields):
    config = DynaConfig.from_flat(actor="mlp", hidden_units=(4,), model_hidden_units=(4,), **fields)
    assert learner_of(envs.make(name), config).start(SEEDS).planning.bounds == []
