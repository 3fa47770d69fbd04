"""Datasets against the dynamics, known frequencies and known sets; bad input."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, zoo
from tf_equirl.dynamics.datasets import (
    DATASET_KINDS,
    Transitions,
    all_transitions,
    collect_transitions,
    half_and_half,
    join,
    make_dataset,
    one_action_of_each_orbit,
)
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    permutation_representation,
    symmetric_group,
    trivial_representation,
)

pytestmark = pytest.mark.usefixtures("without_xla")

CARTPOLE, CATCH = envs.make("CartPole"), envs.make("Catch")
ENVIRONMENTS = {"CartPole": CARTPOLE, "Catch": CATCH}


@functools.cache
def dataset(name, kind):
    """5,000 transitions, made once in a process."""
    return make_dataset(ENVIRONMENTS[name], kind, 5000, seed=3)


@pytest.fixture(scope="module")
def random_catch():
    return collect_transitions(CATCH, "random", 20_000, seed=1)


def every_kind():
    return pytest.mark.parametrize(
        ("name", "kind"), [(name, kind) for name in ENVIRONMENTS for kind in DATASET_KINDS]
    )


def flat(data):
    """Everything that is in a dataset but its provenance, as a list of arrays."""
    return [*data.state, data.action, *data.next_state]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def on_device(state):
    return tf.nest.map_structure(tf.constant, state)


def terminal(env, state):
    return env.is_terminal(on_device(state)).numpy()


def pairs(data):
    """The state-action pairs of Catch that are in a dataset."""
    state = data.state
    columns = (state.ball_row, state.ball_column, state.paddle_column, data.action)
    return set(zip(*[values.tolist() for values in columns], strict=True))


def parts_of(provenance):
    """The provenances of single collections that a dataset is made of."""
    if "parts" in provenance:
        return [leaf for part in provenance["parts"] for leaf in parts_of(part)]
    return parts_of(provenance["of"]) if "of" in provenance else [provenance]


def policy(env, kernel, bias):
    """A policy with logits `observation @ kernel + bias`."""
    layer = keras.layers.Dense(env.num_actions)
    model = keras.Sequential([keras.Input(env.observation_shape), layer])
    shape = (math.prod(env.observation_shape), env.num_actions)
    layer.set_weights([np.broadcast_to(kernel, shape), np.array(bias, np.float32)])
    return model


# The law: every row is a transition of the dynamics.


@every_kind()
def test_every_next_state_is_that_of_the_dynamics(name, kind):
    env, data = ENVIRONMENTS[name], dataset(name, kind)
    uniforms = tf.zeros([len(data), env.num_uniforms])
    expected, *_ = env.transition(on_device(data.state), tf.constant(data.action), uniforms)
    assert len(data) == 5000
    np.testing.assert_array_equal(data.next_state.steps, data.state.steps + 1)
    for field, values in expected._replace(steps=data.state.steps + 1)._asdict().items():
        # A compiled step may fuse a multiplication and an addition: float32, numbers of order 1.
        np.testing.assert_allclose(getattr(data.next_state, field), values, atol=1e-6, rtol=1e-6)


@every_kind()
def test_rows_start_in_no_terminal_state_and_end_in_some(name, kind):
    env, data = ENVIRONMENTS[name], dataset(name, kind)
    assert not terminal(env, data.state).any()
    ends = terminal(env, data.next_state)
    if (name, kind) == ("CartPole", "expert"):
        assert not ends.any()  # its episodes end by the time limit, next
    else:
        assert ends.any()
    # No next state is the first one of an episode: those are at step 0.
    assert data.next_state.steps.min() == 1
    assert data.state.steps.min() == 0


def test_truncated_episodes_have_their_true_last_state():
    """The last step before the time limit moves on, and does not jump back to the start."""
    data = dataset("CartPole", "expert")
    last = data.next_state.steps == CARTPOLE.max_episode_steps
    assert last.sum() >= 3
    moved = np.abs(data.next_state.physics[last] - data.state.physics[last])
    assert (moved[:, [0, 2]] < 0.1).all()  # 0.02 s
    assert (np.abs(data.state.physics[last]).max(axis=1) > 0.05).any()  # not where episodes start


def test_the_random_numbers_of_a_step_reach_the_dynamics():
    """An environment whose next state is random, and whose time limit is the only end."""
    data = collect_transitions(Drift(), "random", 3000, seed=5, num_environments=10)
    drift = data.next_state.place - data.state.place
    assert (drift >= 0).all() and (drift < 1).all()
    assert abs(drift.mean() - 0.5) < 0.03  # 0.29 / sqrt(3000) is 0.005
    assert len(np.unique(drift)) > 2000
    # Rows of one copy follow each other, and a new episode starts only after step 7.
    state, following = (x.place.reshape(-1, 10) for x in (data.state, data.next_state))
    steps = data.next_state.steps.reshape(-1, 10)
    goes_on = steps[:-1] < 7
    np.testing.assert_array_equal(following[:-1][goes_on], state[1:][goes_on])
    assert (state[1:][~goes_on] < 0).all() and steps.max() == 7
    # Neither actions nor drift of a step tell anything of each other.
    assert abs(np.corrcoef(data.action, drift)[0, 1]) < 0.08  # 1 / sqrt(3000) is 0.018


class Place(NamedTuple):
    place: tf.Tensor
    steps: tf.Tensor


class Drift(envs.Environment):
    """A place that moves by the step's first random number; episodes start below 0."""

    name = "Drift"
    observation_shape = (1,)
    num_actions = 3
    num_uniforms = 2
    max_episode_steps = 7

    def __init__(self):
        group = symmetric_group(3)
        self.symmetry = Symmetry(
            group, trivial_representation(group), permutation_representation(group)
        )

    def initial_state(self, uniforms):
        return Place(uniforms[..., 1] - 1.5, tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.place[..., None]

    def transition(self, state, action, uniforms):
        moved = state._replace(place=state.place + uniforms[..., 0])
        reward = tf.zeros_like(state.place)
        return moved, reward, tf.zeros_like(reward, tf.bool)


# Actions.


def test_random_actions_are_uniform_and_drawn_afresh(random_catch):
    """The thesis' code repeated one action for a whole trajectory."""
    actions = random_catch.action
    share = np.bincount(actions, minlength=3) / len(actions)
    np.testing.assert_allclose(share, 1 / 3, atol=0.017)  # 5 standard errors
    by_copy = actions[: len(actions) // 64 * 64].reshape(-1, 64)
    repeated = by_copy[1:] == by_copy[:-1]
    beside = by_copy[:, 1:] == by_copy[:, :-1]
    assert abs(repeated.mean() - 1 / 3) < 0.017
    assert abs(beside.mean() - 1 / 3) < 0.017
    assert (repeated.mean(axis=0) < 0.6).all()  # no single trajectory does either: 312 steps
    # The action does not depend on the state.
    for column in range(5):
        here = actions[random_catch.state.ball_column == column]
        np.testing.assert_allclose(np.bincount(here) / len(here), 1 / 3, atol=0.04)


def test_sampled_actions_have_the_probabilities_of_the_policy():
    model = policy(CARTPOLE, 0, np.log([0.2, 0.8]))
    data = collect_transitions(CARTPOLE, model, 10_000)
    assert abs(data.action.mean() - 0.8) < 0.02  # 5 standard errors
    greedy = collect_transitions(CARTPOLE, model, 100, greedy=True)
    assert (greedy.action == 1).all()


def test_the_policy_sees_the_observation_of_the_state():
    model = policy(CARTPOLE, np.array([[0, 0], [0, 0], [-1, 1], [0, 0]]), [0, 0])
    data = collect_transitions(CARTPOLE, model, 2000, greedy=True)
    np.testing.assert_array_equal(data.action, data.state.physics[:, 2] > 0)


def test_a_policy_of_the_zoo_is_named_or_given(tmp_path):
    model = zoo.load("catch-ppo-gcnn").actor
    named = collect_transitions(CATCH, "catch-ppo-gcnn", 500, seed=2)
    given = collect_transitions("Catch", model, 500, seed=2)
    assert equal(named, given)
    assert named.provenance["policy"]["name"] == "catch-ppo-gcnn"
    assert named.provenance["policy"]["sha256"] == given.provenance["policy"]["sha256"]
    model.set_weights([2 * weights for weights in model.get_weights()])
    other = collect_transitions(CATCH, model, 500, seed=2)
    assert other.provenance["policy"]["sha256"] != given.provenance["policy"]["sha256"]


# Which part of episodes is seen.


def test_few_transitions_of_an_expert_are_from_all_phases_of_its_episodes():
    """2,000 transitions are 31 steps of 64 copies: those of all 500 steps alike."""
    data = collect_transitions(CARTPOLE, "cartpole-ppo-gcnn", 2000, seed=1)
    share = np.histogram(data.state.steps, bins=10, range=(0, 500))[0] / len(data)
    np.testing.assert_allclose(share, 0.1, atol=0.03)


def test_few_transitions_of_a_random_policy_have_the_phases_of_many():
    def mean_step(num_transitions):
        data = collect_transitions(CARTPOLE, "random", num_transitions, seed=1)
        return data.state.steps.mean()

    many = mean_step(40_000)
    assert 10 < many < 20  # episodes of 22 steps in the mean, long ones counting more
    assert abs(mean_step(2000) - many) < 4  # the standard deviation of a copy's step is 11


def test_the_balls_of_catch_fall_in_all_rows_alike(random_catch):
    share = np.bincount(random_catch.state.ball_row[:576], minlength=9) / 576
    np.testing.assert_allclose(share, 1 / 9, atol=0.02)


# Determinism.


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_seed_determines_everything(name):
    """Of "left", which is made of all that is random: both policies and a shuffling."""
    env, data = ENVIRONMENTS[name], dataset(name, "left")
    again = make_dataset(env, "left", 5000, seed=3)
    assert equal(data, again)
    assert data.provenance == again.provenance
    other = make_dataset(env, "left", 5000, seed=4)
    assert not any(np.array_equal(x, y) for x, y in zip(data.state, other.state, strict=True))


def test_fewer_transitions_are_the_first_of_more(random_catch):
    assert equal(collect_transitions(CATCH, "random", 777, seed=1), random_catch.take(slice(777)))


def test_parts_of_a_dataset_share_no_random_numbers():
    """With a random policy for the expert the halves would else be the same."""
    data = half_and_half(CARTPOLE, 400, seed=7, expert="random")
    assert len(np.unique(data.state.physics, axis=0)) == 400
    seeds = [part["seed"] for part in parts_of(data.provenance)]
    assert len({*seeds, data.provenance["seed"]}) == 3


# The kinds.


@pytest.mark.parametrize(("name", "count"), [("CartPole", 5001), ("Catch", 2)])
def test_a_joint_set_is_half_of_each_policy(name, count):
    env = ENVIRONMENTS[name]
    data = make_dataset(env, "joint", count, seed=3)
    random, expert = parts_of(data.provenance)
    assert random["policy"] == {"kind": "random"}
    assert expert["policy"]["name"] == f"{name.lower()}-ppo-gcnn"
    assert (random["num_transitions"], expert["num_transitions"]) == (count // 2, (count + 1) // 2)
    halves = [
        collect_transitions(env, "random", count // 2, random["seed"]),
        collect_transitions(env, f"{name.lower()}-ppo-gcnn", (count + 1) // 2, expert["seed"]),
    ]
    joined = join(halves)
    assert sorted(map(tuple, rows(data))) == sorted(map(tuple, rows(joined)))
    if count > 2:
        assert not equal(data, joined)  # shuffled
        first = {tuple(row) for row in rows(data.take(slice(500)))}
        share = len(first & {tuple(row) for row in rows(halves[1])}) / 500
        assert abs(share - 0.5) < 0.1  # half and half from the first row on


def rows(data):
    return np.concatenate([x.reshape(len(data), -1) for x in flat(data)], axis=1)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_left_is_the_joint_distribution_of_the_representatives_actions(name):
    data, joint = dataset(name, "left"), dataset(name, "joint")
    representatives = one_action_of_each_orbit(ENVIRONMENTS[name])
    assert set(np.unique(data.action)) == set(representatives)
    kept = joint.only_actions(representatives)
    assert (kept.action == joint.action[np.isin(joint.action, representatives)]).all()
    for action in representatives:
        share, wanted = np.mean(data.action == action), np.mean(kept.action == action)
        assert abs(share - wanted) < 0.05
        mine, theirs = data.only_actions([action]), kept.only_actions([action])
        # Halves differ most in the phase of episodes: quantiles of it agree.
        for quantile in (0.25, 0.5, 0.75):
            steps = [np.quantile(x.state.steps, quantile) for x in (mine, theirs)]
            assert abs(steps[0] - steps[1]) <= 0.05 * CARTPOLE.max_episode_steps


def test_left_holds_exactly_the_number_wanted_whatever_the_expert_does():
    """An expert that never moves left gives nothing, so that more has to be drawn."""
    data = make_dataset(CARTPOLE, "left", 1000, expert=policy(CARTPOLE, 0, [-50, 50]))
    assert len(data) == 1000
    assert (data.action == 0).all()


def test_first_actions_of_orbits():
    assert one_action_of_each_orbit(CARTPOLE) == (0,)
    assert one_action_of_each_orbit("Catch") == (0, 1)
    assert one_action_of_each_orbit(Drift()) == (0,)
    group = cyclic_group(2)
    env = envs.CartPole()
    env.symmetry = Symmetry(group, env.symmetry.state, trivial_representation(group, 2))
    assert one_action_of_each_orbit(env) == (0, 1)


def test_all_transitions_of_catch():
    data = all_transitions(CATCH)
    data.validate(CATCH)
    assert len(data) == len(pairs(data)) == 9 * 5 * 5 * 3 == 675
    assert not terminal(CATCH, data.state).any()
    assert terminal(CATCH, data.next_state).sum() == 75
    moved = np.clip(data.state.paddle_column + data.action - 1, 0, 4)
    np.testing.assert_array_equal(data.next_state.paddle_column, moved)
    np.testing.assert_array_equal(data.next_state.ball_row, data.state.ball_row + 1)
    np.testing.assert_array_equal(data.next_state.ball_column, data.state.ball_column)


def test_a_random_policy_meets_every_pair_of_catch_that_can_be_reached(random_catch):
    """The paddle starts in the middle: columns 0 and 4 are two steps away."""
    reached = 5 * 3 * (1 + 3 + 7 * 5)
    assert reached == 585
    assert len(pairs(random_catch)) == reached


# Rows, files, one's own arrays.


def test_rows_are_taken_as_from_an_array(random_catch):
    mask = random_catch.action == 2
    for taken in (random_catch.take(mask), random_catch.only_actions([2])):
        assert len(taken) == mask.sum()
        np.testing.assert_array_equal(
            taken.next_state.paddle_column, random_catch.next_state.paddle_column[mask]
        )
    assert random_catch.take(-1).action.shape == (1,)
    some = random_catch.take([5, 5, 3])
    assert some.action.tolist() == random_catch.action[[5, 5, 3]].tolist()
    assert some.provenance["of"] == random_catch.provenance
    whole = join([random_catch.take(slice(9)), random_catch.take(slice(9, None))])
    assert equal(whole, random_catch)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_files_give_back_what_was_saved(name, tmp_path):
    data, file = dataset(name, "left"), tmp_path / "new" / "left.npz"
    data.save(file)
    found = Transitions.load(str(file), ENVIRONMENTS[name])
    assert equal(found, data)
    assert type(found.state) is type(data.state)
    assert [x.dtype for x in flat(found)] == [x.dtype for x in flat(data)]
    assert found.provenance == data.provenance
    assert found.environment_config == data.environment_config
    data.take(slice(5)).save(file)  # overwrites
    assert len(Transitions.load(file, ENVIRONMENTS[name])) == 5
    assert [path.name for path in file.parent.iterdir()] == ["left.npz"]


def test_arrays_of_ones_own():
    rng = np.random.default_rng(0)
    observations = rng.normal(size=[6, 4])
    state = CARTPOLE.state_from_observation(tf.constant(observations))
    data = Transitions.from_arrays(
        CARTPOLE,
        state._replace(physics=observations),
        [0, 1, 1, 0, 1, 0],
        CARTPOLE.state_from_observation(tf.constant(observations + 1)),
        {"source": "a cart"},
    )
    data.validate(CARTPOLE)
    assert data.state.physics.dtype == np.float32 and data.action.dtype == np.int32
    np.testing.assert_array_equal(data.next_state.physics, np.float32(observations + 1))
    assert data.provenance == {"source": "a cart"}


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "best"}, r"`policy` must be .*Received: name='best'"),
        ({"policy": "catch-ppo-gcnn"}, r"`policy` must .* acts in CartPole: .*\(None, 50\)"),
        ({"policy": 3}, r"`policy` must be .*Received: model=3"),
        ({"policy": None}, r"`policy` must be .*Received: model=None"),
        ({"greedy": True}, r"no most probable action\. Received: policy=\"random\", greedy=True"),
        ({"num_transitions": 0}, r"`num_transitions` must be .*Received: num_transitions=0"),
        ({"num_transitions": 2.5}, r"`num_transitions` must be .*Received: num_transitions=2.5"),
        ({"num_environments": -1}, r"`num_environments` must be .*Received: num_environments=-1"),
        ({"seed": -1}, r"`seed` must be .*Received: seed=-1"),
        ({"seed": "1"}, r"`seed` must be .*Received: seed='1'"),
        ({"env": "Pong"}, r"`env` must be one of: .*Received: env='Pong'"),
    ],
)
def test_bad_arguments_of_a_collection(arguments, message):
    with pytest.raises(ValueError, match=message):
        collect_transitions(**{"env": CARTPOLE, **arguments})


def test_a_policy_without_numbers():
    with pytest.raises(ValueError, match=r"`policy` must give numbers\. Received: .*NaN"):
        collect_transitions(CARTPOLE, policy(CARTPOLE, np.nan, [0, 0]), 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_dataset(CATCH, "right"), r"`kind` must be one of joint.*kind='right'"),
        (lambda: make_dataset(CATCH, "left", 0), r"`num_transitions` .*num_transitions=0"),
        (lambda: make_dataset(CATCH, "random", 9, -2), r"`seed` must be .*seed=-2"),
        (lambda: half_and_half(CATCH, 1), r"`num_transitions` must be at least 2.*=1"),
        (lambda: make_dataset(Drift(), "expert"), r"`expert` must be given.*expert=None, env=Dr"),
        (lambda: half_and_half(envs.Catch(rows=12)), r"`policy` must .*acts in Catch: .*60"),
        (lambda: all_transitions(CARTPOLE), r"states of CartPole cannot be listed"),
        (lambda: join([]), r"`parts` must hold at least one dataset\. Received: parts=\[\]"),
        (
            lambda: join([all_transitions(CATCH), all_transitions(envs.Catch(rows=4))]),
            r"`parts` must be of the same environment.*'rows': 10.*'rows': 4",
        ),
        (lambda: all_transitions(CATCH).save("data.csv"), r"`path` must end in \.npz.*data\.csv"),
    ],
)
def test_bad_arguments_of_a_dataset(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def changed(part, **fields):
    """A change of some fields of `state` or `next_state`."""

    def change(data):
        state = getattr(data, part)
        arrays = {}
        for name, (row, value) in fields.items():
            arrays[name] = getattr(state, name).copy()
            arrays[name][row] = value
        return dataclasses.replace(data, **{part: state._replace(**arrays)})

    return change


def replaced(**attributes):
    def change(data):
        values = {k: v(data) if callable(v) else v for k, v in attributes.items()}
        return dataclasses.replace(data, **values)

    return change


def with_action(value):
    def action(data):
        actions = data.action.copy()
        actions[4] = value
        return actions

    return replaced(action=action)


BAD = {
    "empty": ("Catch", lambda d: d.take([False] * len(d)), r"at least one transition"),
    "another environment": (
        "Catch",
        lambda d: collect_transitions(CARTPOLE, num_transitions=9),
        r"must be of the environment Catch\. Received: data of CartPole",
    ),
    "another board": (
        "Catch",
        lambda d: all_transitions(envs.Catch(rows=6)),
        r"must be of the environment Catch with .*rows=10\. Received: .*rows=6",
    ),
    "another precision": (
        "CartPole",
        lambda d: collect_transitions(envs.CartPole(dtype="float64"), num_transitions=9),
        r"with dtype='float32'\. Received: data of one with dtype='float64'",
    ),
    "nan": (
        "CartPole",
        changed("state", physics=((2, 1), np.nan)),
        r"`data\.state.*` must hold finite numbers.*Received: .*state\.physics.*nan",
    ),
    "infinite": (
        "CartPole",
        changed("next_state", physics=((7, 3), np.inf)),
        r"`data\.next_state.*` must hold finite numbers.*Received: .*next_state\.physics.*inf",
    ),
    "ball outside": (
        "Catch",
        changed("state", ball_column=(3, 5)),
        r"`data\.state\.ball_column` must hold integers from 0 to 4.*Received: .*=5",
    ),
    "next ball outside": (
        "Catch",
        changed("next_state", ball_row=(1, 10)),
        r"`data\.next_state\.ball_row` must hold integers from 0 to 9.*Received: .*=10",
    ),
    "paddle outside": (
        "Catch",
        changed("next_state", paddle_column=(1, -1)),
        r"`data\.next_state\.paddle_column`.*Received: .*=-1",
    ),
    "high action": ("Catch", with_action(3), r"`data\.action` .*0 to 2\. Received: 3 in row 4"),
    "negative action": ("CartPole", with_action(-1), r"`data\.action` .*0 to 1\..*-1 in row 4"),
    "float actions": (
        "Catch",
        replaced(action=lambda d: d.action.astype(np.float32)),
        r"`data\.action` must be an array \[N\] of int32\. Received: an array \[50\] of float32",
    ),
    "long actions": (
        "Catch",
        replaced(action=lambda d: d.action.astype(np.int64)),
        r"`data\.action` must be an array \[N\] of int32",
    ),
    "actions of two axes": (
        "Catch",
        replaced(action=lambda d: d.action[:, None]),
        r"`data\.action` must be an array \[N\] of int32\. Received: an array \[50, 1\]",
    ),
    "list of actions": (
        "Catch",
        replaced(action=lambda d: d.action.tolist()),
        r"`data\.action` must be an array \[N\] of int32\. Received: list",
    ),
    "fewer next states": (
        "CartPole",
        replaced(next_state=lambda d: d.take(slice(49)).next_state),
        r"`data\.next_state\.physics` must be an array \[50, 4\] of float32.*\[49, 4\]",
    ),
    "state of floats": (
        "Catch",
        replaced(state=lambda d: d.state._replace(steps=d.state.steps * 1.0)),
        r"`data\.state\.steps` must be an array \[50\] of int32.*float64",
    ),
    "no state type": (
        "Catch",
        replaced(state=lambda d: np.zeros([50, 50])),
        r"`data\.state` must be a CatchState with the fields ball_column, .*an array \[50, 50\]",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_datasets(case, tmp_path):
    name, change, message = BAD[case]
    env, data = ENVIRONMENTS[name], dataset(name, "joint").take(slice(50))
    data.validate(env)
    bad = change(data)
    with pytest.raises(ValueError, match=message):
        bad.validate(env)
    with pytest.raises(ValueError, match=message.replace("data", "validation")):
        bad.validate(env, "validation")
    if isinstance(bad.action, np.ndarray) and isinstance(bad.state, tuple):
        bad.save(tmp_path / "bad.npz")
        with pytest.raises(ValueError, match=rf"`path` must .*{message}.*Received: path="):
            Transitions.load(tmp_path / "bad.npz", env)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": [0.0, 1.0]}, r"`data\.action` must be .*float64"),
        ({"action": [0, 7]}, r"`action` of Catch must hold integers from 0 to 2"),
        ({"action": [0]}, r"`data\.state\.ball_column` must be an array \[1\]"),
        ({"action": []}, r"`data` must hold at least one transition"),
        ({"action": [True, False]}, r"`data\.action` must be .*bool"),
        ({"state": np.zeros([2, 50])}, r"`data\.state` must be a CatchState"),
        ({"ball_row": [0.5, 0.0]}, r"`data\.state\.ball_row` must hold .*of int32.*float64"),
        ({"ball_row": ["a", "b"]}, r"`data\.state\.ball_row` must hold .*of int32.*<U1"),
        ({"ball_row": [0, 10]}, r"`data\.state\.ball_row` .*Received: .*=10"),
        ({"provenance": {"by": {1, 2}}}, r"`provenance` must be a dict of plain JSON types"),
    ],
)
def test_bad_arrays_of_ones_own(arguments, message):
    good = all_transitions(CATCH).take(slice(2))
    state = good.state
    if "ball_row" in arguments:
        state = state._replace(ball_row=arguments.pop("ball_row"))
    given = {"state": state, "action": [0, 1], "next_state": good.next_state, **arguments}
    with pytest.raises(ValueError, match=message):
        Transitions.from_arrays(CATCH, **given)


def test_damaged_files(tmp_path):
    file = tmp_path / "data.npz"
    all_transitions(CATCH).save(file)
    whole = file.read_bytes()

    def refused(path=file):
        with pytest.raises(ValueError, match=r"`path` must be a file that `Transitions\.save`"):
            Transitions.load(path, CATCH)

    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused()
    for place in range(40, len(whole), 97):  # a damaged byte is refused, or does not matter
        altered = bytearray(whole)
        altered[place] ^= 0x55
        file.write_bytes(altered)
        try:
            found = Transitions.load(file, CATCH)
        except ValueError:
            continue
        assert equal(found, all_transitions(CATCH))
    refused(tmp_path / "missing.npz")
    refused(tmp_path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    refused(tmp_path / "array.npy")
    with np.load(write(file, whole)) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays["header"]))
    for change in (
        {"header": np.array("{")},
        {"header": np.array(json.dumps({**header, "format": 2}))},
        {"header": np.array(json.dumps({**header, "environment_config": None}))},
        {"header": np.array("[1]")},
    ):
        np.savez(file, **{**arrays, **change})
        refused()
    for missing in ("header", "action", "state.ball_row", "next_state.steps"):
        np.savez(file, **{name: x for name, x in arrays.items() if name != missing})
        with pytest.raises(ValueError, match=rf"Received: path=.*without .*{missing}"):
            Transitions.load(file, CATCH)


def write(file: pathlib.Path, content: bytes) -> pathlib.Path:
    file.write_bytes(content)
    return file
