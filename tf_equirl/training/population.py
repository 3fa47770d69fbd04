"""Networks with the weights of many members: everything that binds weights to a Keras model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.layers.base import equivariant_layers, prepared
from tf_equirl.models import stacked_fresh_weights
from tf_equirl.training.optimizer import AdamState, adam_step


class Weights(NamedTuple):
    """The weights of many members by role of their network, `[members, ...]` for each variable.

    Attributes:
        trained: Of the trainable variables.
        fixed: Of the others, such as the sampled bases of `SymmetrizerDense`. They are weights like
            the trained ones, so that a member's numbers do not depend on how many share a basis.
        prepared: What equivariant layers make of these weights, one structure for each layer; empty
            where they make it at each call, see `Population.prepared`.
    """

    trained: dict[str, list[tf.Tensor]]
    fixed: dict[str, list[tf.Tensor]]
    prepared: Any = ()

    def of(self, *roles: str) -> Weights:
        """Those of some networks."""
        return Weights({r: self.trained[r] for r in roles}, {r: self.fixed[r] for r in roles})


def adam_update(
    weights: Weights,
    gradients: Any,
    adam: AdamState,
    count: tf.Tensor,
    rate: tf.Tensor,
) -> tuple[Weights, AdamState]:
    """`adam_step` on weights by role.

    Args:
        weights: Of all members.
        gradients: Of the structure of `weights.trained`.
        adam: The moments so far.
        count: See `adam_step`, the number of this step, from 1.
        rate: Step size, a scalar or `[members]`.
    """
    flat = tf.nest.flatten(weights.trained)
    flat, adam = adam_step(flat, tf.nest.flatten(gradients), adam, count, rate)
    return weights._replace(trained=tf.nest.pack_sequence_as(weights.trained, flat)), adam


def finite_weights(weights: Weights) -> tf.Tensor:
    """Whether all trained weights of a member are finite, `[members]` bool."""
    of_variables = [
        tf.reduce_all(tf.math.is_finite(w), axis=list(range(1, w.shape.rank)))
        for w in tf.nest.flatten(weights.trained)
    ]
    return tf.reduce_all(tf.stack(of_variables), axis=0)


class Population:
    """Keras models as functions of stacked weights.

    `tf.vectorized_map` runs a function for every member, with the member's weights bound to the
    models by `keras.StatelessScope`.

    Args:
        networks: Keras models by role.
    """

    def __init__(self, networks: Mapping[str, keras.Model]):
        self.networks = dict(networks)

    def fresh(self, seeds: Sequence[int], kept: Collection[str] = ()) -> Weights:
        """Weights that members start with, each drawn from its seed (any Python int).

        Args:
            seeds: One for each member.
            kept: Roles of networks that every member starts with as they are.

        Raises:
            ValueError: If a model cannot be built anew from its configuration.
        """
        stacked = iter(stacked_fresh_weights(list(self.networks.values()), seeds))
        trained = {
            role: [tf.constant(next(stacked)) for _ in model.trainable_variables]
            for role, model in self.networks.items()
        }
        own = self._own("trainable_variables", len(seeds)) if kept else {}
        trained |= {role: own[role] for role in kept}
        return Weights(trained, self._own("non_trainable_variables", len(seeds)))

    def own(self, members: int) -> Weights:
        """The weights that the models have, the same for every member."""
        trained = self._own("trainable_variables", members)
        return Weights(trained, self._own("non_trainable_variables", members))

    def alone(self) -> Weights:
        """The weights that the models have, without the members' axis, as `bound` takes them."""
        return tf.nest.map_structure(lambda x: x[0], self.own(1))

    def map(self, function: Callable[[Any], Any], weights: Weights, data: Any) -> Any:
        """`function(data)` for every member, while the networks have its weights.

        Args:
            function: Calls the networks; from a member's data to a structure of tensors.
            weights: Of all members.
            data: A structure of tensors `[members, ...]`.

        Returns:
            What the function gave, `[members, ...]`.
        """

        def member(inputs):
            weights, data = inputs
            with self.bound(weights):
                return function(data)

        return tf.vectorized_map(member, (weights, data), fallback_to_while_loop=False)

    def outputs(self, role: str, weights: Weights, inputs: Any) -> tf.Tensor:
        """Outputs `[members, rows, ...]` of one network for inputs `[members, rows, ...]`."""
        return self.map(self.networks[role], weights, inputs)

    def gradients(
        self, loss: Callable[[Any], tuple[tf.Tensor, Any]], weights: Weights, data: Any
    ) -> tuple[dict[str, list[tf.Tensor]], Any]:
        """Gradients of a loss for every member, with what regularizers of the networks add to it.

        Args:
            loss: Calls the networks; from a member's data to a scalar and a structure of tensors
                that are to be reported.
            weights: Of all members.
            data: A structure of tensors `[members, ...]`.

        Returns:
            Gradients of the shapes of `weights.trained`, and what is reported, `[members, ...]`.
        """

        def member(inputs):
            weights, data = inputs
            # Inside the mapped function: with the tape outside it, XLA takes every input for a
            # compile-time constant and compiles anew at each call.
            with tf.GradientTape() as tape:
                tape.watch(weights.trained)
                with self.bound(weights):
                    value, reported = loss(data)
                    for penalty in self._penalties(weights.trained):
                        value += penalty
            return tape.gradient(value, weights.trained), reported

        return tf.vectorized_map(member, (weights, data), fallback_to_while_loop=False)

    @contextlib.contextmanager
    def bound(self, weights: Weights) -> Iterator[None]:
        """Within it the networks compute with the weights of one member (no leading axis)."""
        pairs: list[tuple[keras.Variable, tf.Tensor]] = []
        for role in weights.trained:
            model = self.networks[role]
            pairs += zip(model.trainable_variables, weights.trained[role], strict=True)
            pairs += zip(model.non_trainable_variables, weights.fixed[role], strict=True)
        ready = dict(weights.prepared or {})
        layers = [layer for role in ready for layer in equivariant_layers(self.networks[role])]
        values = [value for of_role in ready.values() for value in of_role]
        with keras.StatelessScope(state_mapping=pairs), prepared(layers, values):
            yield

    def prepared(self, weights: Weights, rows: int | None = None, stacked: bool = True) -> Weights:
        """The same weights, of which equivariant layers have made what they compute with.

        To be called before a loop in which networks are applied with weights that stay: compilers
        leave such work inside of it. Gradients by the weights would not see it.

        Args:
            weights: Of some roles.
            rows: Inputs of a member at each application, if known.
            stacked: Whether the weights have a leading axis for members.
        """
        layers = {role: equivariant_layers(self.networks[role]) for role in weights.trained}
        if not any(layers.values()):
            return weights

        def member(weights):
            with self.bound(weights):
                return {
                    role: [
                        tf.nest.map_structure(
                            lambda x, dtype=layer.compute_dtype: tf.cast(x, dtype),
                            layer.prepare(rows, stay=True),
                        )
                        for layer in of_role
                    ]
                    for role, of_role in layers.items()
                }

        if not stacked:
            return weights._replace(prepared=member(weights))
        made = tf.vectorized_map(member, weights, fallback_to_while_loop=False)
        return weights._replace(prepared=made)

    def arrays(self, weights: Weights) -> dict[str, list[tf.Tensor]]:
        """By role the tensors of all variables, the trained ones first."""
        return {role: [*weights.trained[role], *weights.fixed[role]] for role in self.networks}

    def _penalties(self, roles: Collection[str]) -> Iterator[tf.Tensor]:
        """What the regularizers of some networks' weights give with those that are bound."""
        for role in roles:
            for variable in self.networks[role].trainable_variables:
                if variable.regularizer is not None:
                    yield variable.regularizer(keras.ops.convert_to_tensor(variable))

    def _own(self, variables: str, members: int) -> dict[str, list[tf.Tensor]]:
        return {
            role: [
                tf.constant(np.repeat(keras.ops.convert_to_numpy(v)[None], members, axis=0))
                for v in getattr(model, variables)
            ]
            for role, model in self.networks.items()
        }


def initial_weights(model: keras.Model, seeds: Sequence[int]) -> list[NDArray[np.floating]]:
    """The weights that a model starts with under each seed, a few milliseconds a seed.

    Args:
        model: Any Keras model whose layers serialise; it stays as it is.
        seeds: Any Python ints, at least one.

    Returns:
        One array `[seeds, ...]` for each of `model.trainable_variables`; those that
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
        weights: An array `[members, ...]` for each of its trainable variables; None is one member
            with the weights that the model has.
        function: From `data`, as tensors, to a dict of tensors. It calls the model, which has the
            member's weights meanwhile.
        data: A structure of arrays that all members share.

    Returns:
        The dict, of arrays with a leading axis `[members]`.

    Raises:
        ValueError: If the weights are not such a list.
    """
    population = Population({"model": model})
    stacked = population.own(1)
    if weights is not None:
        arrays = _checked(model, weights)
        fixed = population.own(len(arrays[0])).fixed
        stacked = Weights({"model": [tf.constant(w) for w in arrays]}, fixed)

    @tf.function(autograph=False)
    def member(weights: Weights, data: Any) -> Any:
        with population.bound(weights):
            return function(data)

    @tf.function(jit_compile=True, autograph=False)
    def run(stacked: Weights, data: Any) -> Any:
        first = tf.nest.map_structure(lambda w: w[0], stacked)
        signature = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype),
            member.get_concrete_function(first, data).structured_outputs,
        )
        return tf.map_fn(lambda w: member(w, data), stacked, fn_output_signature=signature)

    arguments = stacked, tf.nest.map_structure(tf.constant, data)
    # Called directly, TensorFlow would warn that a new function is compiled each time.
    results = run.get_concrete_function(*arguments)(*arguments)
    return {name: value.numpy() for name, value in results.items()}


def _checked(
    model: keras.Model, weights: Sequence[NDArray[np.floating]]
) -> list[NDArray[np.floating]]:
    arrays = [np.asarray(w) for w in weights]
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    members = {len(w) if w.ndim else 0 for w in arrays}
    if [w.shape[1:] for w in arrays] != shapes or len(members) != 1 or not members.pop():
        raise ValueError(
            "`weights` must hold an array [members, ...] for each trainable variable of the model, "
            f"of shapes {shapes}. Received: arrays of shapes {[w.shape for w in arrays]}"
        )
    return arrays
