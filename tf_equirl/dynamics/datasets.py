"""Training sets of transitions: of a random policy, of an expert, of both, or all there are."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import zoo
from tf_equirl._checks import LARGEST_SAMPLE, integer, one_of, positive_integer, random_seed, within
from tf_equirl.dynamics.collection import collect_transitions, versions
from tf_equirl.dynamics.transitions import Transitions, join
from tf_equirl.envs import Environment
from tf_equirl.envs.registry import tensor_environment_of

__all__ = [
    "DATASET_KINDS",
    "Transitions",
    "all_transitions",
    "collect_transitions",
    "half_and_half",
    "join",
    "make_dataset",
    "one_action_of_each_orbit",
]

DATASET_KINDS = ("joint", "left", "random", "expert")


def half_and_half(
    env: Environment | str,
    num_transitions: int = 40_000,
    seed: int = 0,
    expert: str | keras.Model | None = None,
) -> Transitions:
    """Half of a random policy's transitions and half of an expert's, shuffled.

    Of an odd number the expert gives one more.

    Args:
        env: The environment or its registered name.
        num_transitions: How many, from 2 to 10^8.
        seed: An integer in [0, 2^31).
        expert: A name in the zoo or a policy, as in `collect_transitions`; by default the zoo's
            "<environment>-ppo-gcnn".

    Raises:
        ValueError: As `collect_transitions` does.
    """
    env = tensor_environment_of(env)
    rule = f"at least 2, one of each policy, and at most {LARGEST_SAMPLE:,}"
    num_transitions = integer("num_transitions", num_transitions, 2, LARGEST_SAMPLE, rule)
    expert = _expert(env, expert)
    half = num_transitions // 2
    seeds = _split_seed(random_seed(seed), 3)
    with within("expert"):
        of_expert = collect_transitions(env, expert, num_transitions - half, seeds[1])
    return _shuffled(
        join([collect_transitions(env, "random", half, seeds[0]), of_expert]), seeds[2]
    )


def one_action_of_each_orbit(env: Environment | str) -> tuple[int, ...]:
    """The first action of each orbit of the group on actions.

    CartPole's is (0,), left, and Catch's (0, 1), left and stay: of a dataset with these actions
    alone the others' transitions are images under the group.

    Raises:
        ValueError: If the group does not permute the actions.
    """
    env = tensor_environment_of(env)
    permutations = env.symmetry.action.permutations
    if permutations is None:
        raise ValueError(
            f"`env` must have a symmetry that permutes the actions. Received: env={env.name} with "
            f"{env.symmetry.action!r}"
        )
    return tuple(int(a) for a in np.unique(permutations.min(axis=0)))


def make_dataset(
    env: Environment | str,
    kind: str = "joint",
    num_transitions: int = 40_000,
    seed: int = 0,
    expert: str | keras.Model | None = None,
) -> Transitions:
    """The training sets of the thesis, well made; the validation set is another seed's "joint".

    All are shuffled, so that the first rows are a smaller set of the same kind.

    Args:
        env: The environment or its registered name.
        kind: "joint", half of a random policy and half of an expert; "left", the transitions of
            such a set that have one of the actions of `one_action_of_each_orbit`; "random" and
            "expert", of that policy alone.
        num_transitions: How many, at most 10^8; of "left" those that are left.
        seed: An integer in [0, 2^31).
        expert: See `half_and_half`.

    Raises:
        ValueError: If an argument is not one of those; see `half_and_half`.
    """
    env = tensor_environment_of(env)
    one_of("kind", kind, DATASET_KINDS)
    num_transitions = positive_integer("num_transitions", num_transitions, LARGEST_SAMPLE)
    seed = random_seed(seed)
    if kind == "joint":
        data = half_and_half(env, num_transitions, seed, expert)
    elif kind == "left":
        data = _left(env, num_transitions, seed, expert)
    else:
        policy = "random" if kind == "random" else _expert(env, expert)
        seeds = _split_seed(seed, 2)
        data = _shuffled(collect_transitions(env, policy, num_transitions, seeds[0]), seeds[1])
    how = {"made_by": "make_dataset", "kind": kind, "num_transitions": len(data), "seed": seed}
    return dataclasses.replace(data, provenance={**how, "of": data.provenance})


def all_transitions(env: Environment | str) -> Transitions:
    """Every action in every state that is not terminal, Catch's 675, state by state.

    Where transitions are random, they are those of random numbers that are all 0.

    Raises:
        ValueError: If the environment does not list its states (`Environment.all_states`).
    """
    env = tensor_environment_of(env)
    states = env.all_states()
    count = len(states.steps)
    state = tf.nest.map_structure(lambda x: tf.repeat(x, env.num_actions, axis=0), states)
    action = tf.tile(tf.range(env.num_actions), [count])
    uniforms = tf.zeros([count * env.num_actions, env.num_uniforms])
    _, next_state, *_ = env.advance(state, action, uniforms)
    state, action, next_state = tf.nest.map_structure(np.asarray, (state, action, next_state))
    provenance = {"made_by": "all_transitions", "versions": versions()}
    return Transitions(env.name, env.get_config(), state, action, next_state, provenance)


def _left(env: Environment, count: int, seed: int, expert: str | keras.Model | None) -> Transitions:
    """The first rows with a representative's action of a joint set that is large enough."""
    actions = one_action_of_each_orbit(env)
    # As many as there should be if actions were uniform, and some more; hardly ever too few.
    drawn = math.ceil(1.2 * count * env.num_actions / len(actions)) + 256
    while True:
        kept = half_and_half(env, drawn, seed, expert).only_actions(actions)
        if len(kept) >= count:
            return kept.take(slice(count))
        drawn *= 2


def _expert(env: Environment, expert: str | keras.Model | None) -> str | keras.Model:
    if expert is not None:
        return expert
    name = f"{env.name.lower()}-ppo-gcnn"
    if name not in zoo.list():
        raise ValueError(
            f"`expert` must be given: the zoo has no {name}. Received: expert=None, env={env.name}"
        )
    return name


def _split_seed(seed: int, count: int) -> list[int]:
    """Seeds in [0, 2^31) for the parts of a dataset, so that no two parts share random numbers."""
    return [int(x) >> 1 for x in np.random.SeedSequence(seed).generate_state(count)]


def _shuffled(data: Transitions, seed: int) -> Transitions:
    order = np.random.default_rng(seed).permutation(len(data))
    how = {"made_by": "shuffle", "seed": seed, "of": data.provenance}
    return dataclasses.replace(data.take(order), provenance=how)
