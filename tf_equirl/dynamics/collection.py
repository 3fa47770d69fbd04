"""Transitions that a policy makes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tf_equirl
from tf_equirl import zoo
from tf_equirl._checks import (
    LARGEST_BATCH,
    LARGEST_SAMPLE,
    cut,
    flag,
    positive_integer,
    random_seed,
)
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.envs import Environment
from tf_equirl.envs.checks import check_environment
from tf_equirl.envs.registry import tensor_environment_of
from tf_equirl.evaluation.fitting import check_policy
from tf_equirl.training import programs
from tf_equirl.training.collect import act, num_uniforms
from tf_equirl.training.loops import repeat_and_stack
from tf_equirl.training.population import Population

# Steps of one call of the compiled program.
_CHUNK = 64


def collect_transitions(
    env: Environment | str,
    policy: str | keras.Model = "random",
    num_transitions: int = 40_000,
    seed: int = 0,
    *,
    greedy: bool = False,
    num_environments: int = 64,
) -> Transitions:
    """Plays a policy and keeps each state, action and true next state.

    Several copies of the environment are stepped side by side, every one of them through whole
    episodes, one after the other. What is seen of an episode must not depend on how many steps are
    taken: a good policy's episodes last to the time limit, and copies that start together would
    all be in their first steps as long as the data are few. Therefore the time limit of the first
    episode of copy i comes early by i / `num_environments` of its length, and nothing is kept until
    that many steps have been played as an episode may have. The copies are then spread evenly
    over the phases of episodes that the time limit ends, and they have settled into the mixture of
    phases that shorter episodes have.

    An action is drawn afresh at every step and in every copy, from random numbers that nothing
    else is drawn from. The same arguments give the same data on the same machine and with the same
    package versions, and fewer transitions are the first of more.

    Args:
        env: The environment or its registered name.
        policy: "random" for uniform actions, the name of a model of the zoo, the path of a
            `.keras` file, or a model: observations [batch, *observation_shape] to logits
            [batch, num_actions].
        num_transitions: How many, at most 10^8.
        seed: An integer in [0, 2^31).
        greedy: Whether to take the most probable action, or one drawn with softmax probabilities,
            which is how the policies of the zoo were trained and what the thesis' expert does.
        num_environments: Copies of the environment, at most 2^20.

    Returns:
        Transitions in the order of time: row t * num_environments + i is step t of copy i.

    Raises:
        ValueError: If an argument is not one of those, the policy does not fit the environment, or
            it gives a logit that is not a number.
    """
    env = tensor_environment_of(env)
    check_environment(env)
    num_transitions = positive_integer("num_transitions", num_transitions, LARGEST_SAMPLE)
    num_environments = positive_integer("num_environments", num_environments, LARGEST_BATCH)
    seed, greedy = random_seed(seed), flag("greedy", greedy)
    model, described = _resolve(env, policy)
    if greedy and model is None:
        raise ValueError(
            '`greedy` must be False for a policy that is "random", which has no most probable '
            f'action. Received: policy="random", greedy={greedy!r}'
        )
    chunks, steps = [], 0
    for chunk in _play(env, model, seed, greedy, num_environments):
        chunks.append(chunk)
        steps += _CHUNK
        if steps * num_environments >= num_transitions:
            break
    state, action, next_state = tf.nest.map_structure(
        # The flat rows of the chunks' [_CHUNK, num_environments].
        lambda *x: np.concatenate(x).reshape(-1, *x[0].shape[2:])[:num_transitions],
        *chunks,
    )
    provenance = {
        "made_by": "collect_transitions",
        "policy": described,
        "num_transitions": num_transitions,
        "seed": seed,
        "greedy": greedy,
        "num_environments": num_environments,
        "versions": versions(),
    }
    return Transitions(env.name, env.get_config(), state, action, next_state, provenance)


def versions() -> dict[str, str]:
    """Of the packages that the data depend on, for their provenance."""
    packages = ("tensorflow", "keras", "numpy")
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"tf_equirl": tf_equirl.__version__, **found}


def _play(
    env: Environment, model: keras.Model | None, seed: int, greedy: bool, num_environments: int
) -> Iterator[Any]:
    """Yields state, action, next state of [_CHUNK, num_environments] steps at a time, for ever."""
    population = Population({} if model is None else {"actor": model})
    own = env.action_distribution.num_uniforms

    def policy(observation):
        if model is None:
            return tf.zeros([num_environments, env.action_distribution.num_parameters])
        return model(observation, training=False)

    def make():
        @tf.function(jit_compile=True, autograph=False)
        def play(weights, state, key):
            shape = [_CHUNK, num_environments, num_uniforms(env)]
            uniforms = tf.random.stateless_uniform(shape, key)
            weights = population.prepared(weights, num_environments, stacked=False)

            def step(i, carry):
                state, is_nan = carry
                numbers = uniforms[i]
                with population.bound(weights):
                    step = act(env, policy, state, numbers[:, :own], numbers[:, own:], greedy)
                is_nan |= tf.reduce_any(tf.math.is_nan(step.parameters))
                return (step.following, is_nan), (state, step.action, step.next_state)

            (state, is_nan), rows = repeat_and_stack(_CHUNK, step, (state, tf.constant(False)))
            return state, rows, is_nan

        return play

    key = "play", env.program_key(), programs.model_key(model), greedy, num_environments
    play = programs.cached(key, make)
    weights = population.alone()
    state = env.reset(_key(seed, 0), [num_environments])
    early = np.arange(num_environments) * env.max_episode_steps // num_environments
    state = state._replace(steps=tf.constant(early, tf.int32))
    unkept = math.ceil(env.max_episode_steps / _CHUNK)
    for number in itertools.count():
        state, rows, is_nan = play(weights, state, _key(seed, 1 + number))
        if is_nan:
            raise ValueError("`policy` must give numbers. Received: a logit that is NaN")
        if number >= unkept:
            yield tf.nest.map_structure(lambda x: x.numpy(), rows)


def _key(seed: int, number: int) -> tf.Tensor:
    """A key of its own for the start (0) and every chunk."""
    return tf.constant([seed, number], tf.int64)


def _resolve(env: Environment, policy: Any) -> tuple[keras.Model | None, dict[str, Any]]:
    """The model, None for the random policy, and what provenance says of it."""
    if isinstance(policy, str) and policy == "random":
        return None, {"kind": "random"}
    try:
        model = zoo.load_model(policy, must_be="policy") if isinstance(policy, str) else policy
        check_policy(model, env)
    except ValueError as error:
        raise ValueError(
            '`policy` must be "random", the name of a model of the zoo, or a model that acts in '
            f"{env.name}: {cut(str(error))}"
        ) from error
    weights = b"".join(array.tobytes() for array in model.get_weights())
    name = policy if isinstance(policy, str) else model.name
    return model, {"kind": "model", "name": name, "sha256": hashlib.sha256(weights).hexdigest()}
