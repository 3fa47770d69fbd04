"""Errors of transition models against the true environment, of one step and of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import instance, positive_integer, random_seed
from tf_equirl.dynamics.model_loss import model_inputs, predict
from tf_equirl.dynamics.transitions import Transitions, check_transitions
from tf_equirl.envs import Environment
from tf_equirl.models.heads import Head
from tf_equirl.training.loops import repeat
from tf_equirl.training.population import for_each_member

_MOST_STEPS = 10**6
_ROLLOUT_STREAM = 3  # other users of a seed draw other numbers


def transition_errors(
    env: Environment,
    model: keras.Model,
    weights: Sequence[NDArray[np.floating]] | None,
    data: Transitions,
) -> dict[str, NDArray[np.floating]]:
    """What the environment's head measures of every single prediction of the next state.

    Args:
        env: The environment.
        model: A transition model of it.
        weights: Weights of many members, an array [members, ...] for each trainable variable, such
            as `result.weights["transition_model"]`; None for the model as it is.
        data: Transitions with their true next states.

    Returns:
        For each of `env.transition_head.metric_names` an array [members, N]. NaN in rows whose
        state is terminal: no transition starts there.

    Raises:
        ValueError: If the data are not of this environment, or the model or the weights do not fit.
    """
    check_transitions("data", data, env)
    instance("model", model, keras.Model, "a Keras model")
    head = env.transition_head

    def errors(data: Any) -> dict[str, tf.Tensor]:
        state, action, next_state = data
        outputs = predict(env, model, *model_inputs(env, state, action))
        measured = head.metrics(outputs, tf.cast(env.encode(next_state), outputs.dtype))
        none = tf.fill(env.is_terminal(state).shape, tf.constant(np.nan, outputs.dtype))
        return {
            name: tf.where(env.is_terminal(state), none, values)
            for name, values in zip(head.metric_names, measured, strict=True)
        }

    return for_each_member(model, weights, errors, (data.state, data.action, data.next_state))


def rollout_errors(
    env: Environment,
    model: keras.Model,
    weights: Sequence[NDArray[np.floating]] | None,
    start: Transitions,
    num_steps: int,
    seed: int = 0,
) -> NDArray[np.floating]:
    """How far a model strays from the true environment when it goes on from its own predictions.

    From each row's state the environment and the model take the same uniformly random actions. The
    model is given true observations once, at the start; after that it sees
    `env.observe(env.decode(head.prediction(outputs)))` of its last outputs. A row counts until its
    true episode terminates, that step included, whatever the model believes; time limits are not
    part of the dynamics and end nothing.

    Args:
        env: The environment.
        model: A transition model of it.
        weights: See `transition_errors`.
        start: Where to start from; only the states are used.
        num_steps: How many steps, at most 10^6.
        seed: Of the actions, and of the environment where its dynamics is random; an integer in
            [0, 2^31).

    Returns:
        [members, num_steps], the mean over the rows after 1, 2, ... steps: of the squared error,
        mean over the coordinates, of real-valued predictions; of categorical ones the share of
        rows in which a category is wrong. NaN where no row is left.

    Raises:
        ValueError: If an argument is not one of those, or they do not fit each other.
    """
    check_transitions("start", start, env)
    instance("model", model, keras.Model, "a Keras model")
    num_steps = positive_integer("num_steps", num_steps, _MOST_STEPS)
    generator = np.random.default_rng([random_seed(seed), _ROLLOUT_STREAM])
    shape = (num_steps, len(start))
    actions = generator.integers(env.num_actions, size=shape, dtype=np.int32)
    uniforms = generator.random((*shape, env.num_uniforms), dtype=np.float32)
    head = env.transition_head

    def rollout(data: Any) -> dict[str, tf.Tensor]:
        start, actions, uniforms = data

        def step(i: tf.Tensor, carry: Any) -> Any:
            true, believed, running, errors = carry
            outputs = predict(env, model, *model_inputs(env, believed, actions[i]))
            predicted = head.prediction(outputs)
            true = env.transition(true, actions[i], uniforms[i])[0]
            error = _error(head, predicted, tf.cast(env.encode(true), predicted.dtype))
            counted = tf.cast(running, error.dtype)
            # 0 times an infinite error would be NaN: what does not count is left out.
            total = tf.reduce_sum(tf.where(running, error, tf.zeros_like(error)))
            errors = errors.write(i, total / tf.reduce_sum(counted))
            running &= ~env.is_terminal(true)
            return true, _as(env.decode(predicted), believed), running, errors

        errors = tf.TensorArray(model.output.dtype, num_steps, element_shape=[])
        carry = (start, start, ~env.is_terminal(start), errors)
        return {"errors": repeat(num_steps, step, carry)[-1].stack()}

    return for_each_member(model, weights, rollout, (start.state, actions, uniforms))["errors"]


def _error(head: Head, predicted: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """[N]: of encodings, the share of wrong predictions if the head knows one, or its loss."""
    measured = dict(zip(head.metric_names, head.metrics(predicted, target), strict=True))
    return 1 - measured["accuracy"] if "accuracy" in measured else measured[head.metric_names[0]]


def _as(state: Any, like: Any) -> Any:
    """`state` with the types of `like`, which a loop asks for."""
    return tf.nest.map_structure(lambda x, y: tf.cast(x, y.dtype), state, like)
