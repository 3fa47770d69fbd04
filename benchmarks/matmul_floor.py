"""The time that the matrix products of a PPO update take when nothing else is computed."""

from __future__ import annotations

import time

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents import PPOConfig
from tf_equirl.layers.base import EquivariantLinear
from tf_equirl.training.loops import repeat

# So small that operands keep their size, so that no product meets infinities or denormals.
_NUDGE = 1e-6


class MatmulFloor:
    """The matrix products of PPO updates, and nothing else, as one compiled program.

    An update holds, for every member of the population and with the shapes that its networks have:

    * the actor on `num_environments` rows, `rollout_steps` times;
    * the critic on `batch_size` rows, twice (observations and next observations);
    * actor and critic on `batch_size / num_minibatches` rows, `num_epochs * num_minibatches` times,
      forward and backward: two products more for each layer, for the gradients of its weights and
      of its inputs, but for the first layer, whose inputs need no gradient.

    A layer is the one matrix that it multiplies by: of an equivariant layer the expanded matrix,
    zeros and repeated blocks included. Not counted: biases, activations, the expansion of kernels,
    the environment, random numbers, advantages, the loss, shuffling, gradient clipping and Adam.

    The products run in loops inside the program. Each result goes into the operands of the next
    round, times 1e-6, so that the compiler can neither drop a product nor move it out of the loop.
    That addition is timed too; it is about a hundredth of the operations.

    Args:
      config: the sizes of an update.
      actor: policy network.
      critic: value network.
      members: size of the population.

    Attributes:
      operations: multiplications and additions (each counts) of an update of all members.

    Raises:
      ValueError: if a network has a layer with weights that is not linear.
    """

    def __init__(self, config: PPOConfig, actor: keras.Model, critic: keras.Model, members: int):
        networks = [linear_shapes(actor), linear_shapes(critic)]
        actor_size, critic_size = [sum(m * n for m, n in shapes) for shapes in networks]
        without_gradient = sum(shapes[0][0] * shapes[0][1] for shapes in networks)
        training = 3 * (actor_size + critic_size) - without_gradient
        products = actor_size + 2 * critic_size + config.num_epochs * training
        self.operations = 2 * members * config.batch_size * products

        self._config = config
        random = np.random.default_rng(0)

        def operand(*shape: int) -> tf.Tensor:
            values = random.standard_normal((members, *shape)) / np.sqrt(shape[0])
            return tf.constant(values, tf.float32)

        self._weights = [[operand(m, n) for m, n in shapes] for shapes in networks]
        rows = (
            config.num_environments,
            config.batch_size,
            config.batch_size // config.num_minibatches,
        )
        inputs = networks[0][0][0]
        self._inputs = [
            tf.constant(random.standard_normal((members, r, inputs)), tf.float32) for r in rows
        ]
        self._program = tf.function(self._updates, jit_compile=True, autograph=False)

    def seconds(self, number: int) -> float:
        """Seconds that the products of `number` updates take; the first call compiles as well."""
        started = time.perf_counter()
        results = self._program(self._weights, self._inputs, tf.constant(number))
        tf.nest.map_structure(lambda x: x.numpy(), results)
        return time.perf_counter() - started

    def _updates(self, weights, inputs, number):
        c = self._config

        def update(_, state):
            (actor, critic), (acting, values, training) = state
            acting = repeat(
                c.rollout_steps, lambda _, x: _nudged(x, _forward(x, actor)[-1]), acting
            )
            values = repeat(2, lambda _, x: _nudged(x, _forward(x, critic)[-1]), values)

            def minibatch(_, networks):
                return [_trained(training, w) for w in networks]

            networks = repeat(c.num_epochs * c.num_minibatches, minibatch, [actor, critic])
            return networks, [acting, values, training]

        # XLA lays out no arrays by this bound: any will do.
        return repeat(number, update, (weights, inputs), maximum=2**30)


def linear_shapes(model: keras.Model) -> list[tuple[int, int]]:
    """`(inputs, outputs)` of the matrix that each linear layer of `model` multiplies by, in order.

    Raises:
      ValueError: if a layer has weights and is neither `Dense` nor an `EquivariantLinear`.
    """
    shapes = []
    for layer in model.layers:
        if isinstance(layer, EquivariantLinear):
            shapes.append(tuple(layer.expanded_kernel().shape))
        elif isinstance(layer, keras.layers.Dense):
            shapes.append(tuple(layer.kernel.shape))
        elif layer.weights:
            raise ValueError(
                "model must consist of linear layers and layers without weights. "
                f"Received: model={model.name!r} with layer {layer.name!r} of type "
                f"{type(layer).__name__}"
            )
    return shapes


def _forward(x: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
    """The input and the result of every layer."""
    features = [x]
    for w in weights:
        features.append(tf.matmul(features[-1], w))
    return features


def _trained(x: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
    """Forward, backward and a small step along the gradient."""
    features = _forward(x, weights)
    gradient = features[-1]
    stepped = []
    for i in reversed(range(len(weights))):
        step = tf.matmul(features[i], gradient, transpose_a=True)
        stepped.append(weights[i] + _NUDGE / x.shape[1] * step)
        if i:
            gradient = tf.matmul(gradient, weights[i], transpose_b=True)
    return stepped[::-1]


def _nudged(x: tf.Tensor, result: tf.Tensor) -> tf.Tensor:
    return x + _NUDGE * tf.reduce_mean(result, axis=-1, keepdims=True)
