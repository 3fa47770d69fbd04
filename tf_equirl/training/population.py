"""One transition model with the weights of many members, in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs import Environment
from tf_equirl.models import stacked_fresh_weights


def initial_weights(model: keras.Model, seeds: Sequence[int]) -> list[NDArray[np.floating]]:
    """The weights that a model starts with under each seed, a few milliseconds a seed.

    Args:
        model: Any Keras model whose layers serialise; it stays as it is.
        seeds: Any Python ints, at least one.

    Returns:
        One array [seeds, ...] for each of `model.trainable_variables`; those that
        `fit_transition_model` starts from under the same seeds.

    Raises:
        ValueError: If there are no seeds, or the model cannot be built anew.
    """
    return stacked_fresh_weights([model], seeds)


def for_each_member(
    model: keras.Model,
    weights: Sequence[NDArray[np.floating]] | None,
    function: Callable[[Any], Any],
    data: Any,
) -> Any:
    """Evaluates a function of a model for every member.

    The members take turns in one program that XLA compiles, so that it needs the memory of one.

    Args:
        model: The Keras model.
        weights: An array [members, ...] for each of its trainable variables; None is one member
            with the weights that the model has.
        function: From `data`, as tensors, to a dict of tensors. It calls the model, which has the
            member's weights meanwhile.
        data: A structure of arrays that all members share.

    Returns:
        The dict, of arrays with a leading axis [members].

    Raises:
        ValueError: If the weights are not such a list.
    """
    variables = model.trainable_variables
    stacked = _check_weights(variables, weights)

    @tf.function(autograph=False)
    def member(values: list[tf.Tensor], data: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(data)

    @tf.function(jit_compile=True, autograph=False)
    def run(stacked: list[tf.Tensor], data: Any) -> Any:
        first = [w[0] for w in stacked]
        signature = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype),
            member.get_concrete_function(first, data).structured_outputs,
        )
        return tf.map_fn(lambda w: member(w, data), stacked, fn_output_signature=signature)

    arguments = [tf.constant(w) for w in stacked], tf.nest.map_structure(tf.constant, data)
    # Called directly, TensorFlow would warn that a new function is compiled each time.
    results = run.get_concrete_function(*arguments)(*arguments)
    return {name: value.numpy() for name, value in results.items()}


def model_inputs(env: Environment, state: Any, action: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The flattened observations [N, d_state] and one-hot actions [N, actions] of pairs."""
    observation = env.observe(state)
    flat = tf.reshape(observation, [observation.shape[0], env.symmetry.state.dim])
    return flat, tf.one_hot(action, env.num_actions)


def predict(
    env: Environment, model: keras.Model, observation: tf.Tensor, action: tf.Tensor
) -> tf.Tensor:
    """Outputs [N, d] of a transition model for what `model_inputs` returns.

    Raises:
        ValueError: If the model does not map these to [N, d].
    """
    rows, dim = observation.shape[0], env.transition_head.representation.dim
    outputs = model([tf.reshape(observation, [rows, *env.observation_shape]), action])
    if outputs.shape != (rows, dim):
        raise ValueError(
            f"`model` must map observations and actions of {env.name} to {(None, dim)}. Received: "
            f"model={model.name!r}, which maps {rows} of them to {tuple(outputs.shape)}"
        )
    return outputs


def _check_weights(
    variables: Sequence[keras.Variable], weights: Sequence[NDArray[np.floating]] | None
) -> list[NDArray[np.floating]]:
    if weights is None:
        return [keras.ops.convert_to_numpy(v)[None] for v in variables]
    arrays = [np.asarray(w) for w in weights]
    shapes = [tuple(v.shape) for v in variables]
    members = {len(w) if w.ndim else 0 for w in arrays}
    if [w.shape[1:] for w in arrays] != shapes or len(members) != 1 or not members.pop():
        raise ValueError(
            "`weights` must hold an array [members, ...] for each trainable variable of the model, "
            f"of shapes {shapes}. Received: arrays of shapes {[w.shape for w in arrays]}"
        )
    return arrays
