"""The time that the matrix products of a PPO update take when nothing else is computed."""

from __future__ import annotations

import time

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents import PPOConfig
from tf_equirl.groups import real_irreps
from tf_equirl.layers import EquivariantLinear, GroupDense
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

    A layer is the matrices that it multiplies by: of an equivariant layer the expanded matrix,
    zeros and repeated blocks included, or those of the Fourier basis, each for the rows that it
    has. Not counted: biases, activations, the expansion of kernels and changes of basis, the
    environment, random numbers, advantages, the loss, shuffling, gradient clipping and Adam.

    The products run in loops inside the program. Each result goes into the operands of the next
    round, times 1e-6, so that the compiler can neither drop a product nor move it out of the loop.
    That addition is timed too; it is about a hundredth of the operations.

    Args:
        config: The sizes of an update.
        actor: Policy network.
        critic: Value network.
        members: Size of the population.

    Attributes:
        operations: Multiplications and additions (each counts) of an update of all members.

    Raises:
        ValueError: If a network has a layer with weights that is not linear.
    """

    def __init__(self, config: PPOConfig, actor: keras.Model, critic: keras.Model, members: int):
        networks = [linear_shapes(actor), linear_shapes(critic)]
        sizes = [[sum(c * m * n for c, m, n in layer) for layer in layers] for layers in networks]
        actor_size, critic_size = map(sum, sizes)
        without_gradient = sum(of_layers[0] for of_layers in sizes)
        training = 3 * (actor_size + critic_size) - without_gradient
        products = actor_size + 2 * critic_size + config.num_epochs * training
        self.operations = 2 * members * config.batch_size * products

        self._config = config
        random = np.random.default_rng(0)

        def operand(*shape: int) -> tf.Tensor:
            values = random.standard_normal((members, *shape)) / np.sqrt(shape[0])
            return tf.constant(values, tf.float32)

        self._copies = [[[c for c, _, _ in layer] for layer in layers] for layers in networks]
        self._weights = [
            [[operand(m, n) for _, m, n in layer] for layer in layers] for layers in networks
        ]
        rows = (
            config.num_environments,
            config.batch_size,
            config.batch_size // config.num_minibatches,
        )
        inputs = networks[0][0][0][1]
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
        c, (of_actor, of_critic) = self._config, self._copies

        def update(_, state):
            (actor, critic), (acting, values, training) = state
            acting = repeat(
                c.rollout_steps, lambda _, x: _nudged(x, _forward(x, actor, of_actor)[-1]), acting
            )
            values = repeat(2, lambda _, x: _nudged(x, _forward(x, critic, of_critic)[-1]), values)

            def minibatch(_, networks):
                return [
                    _trained(training, w, copies)
                    for w, copies in zip(networks, self._copies, strict=True)
                ]

            networks = repeat(c.num_epochs * c.num_minibatches, minibatch, [actor, critic])
            return networks, [acting, values, training]

        # XLA lays out no arrays by this bound: any will do.
        return repeat(number, update, (weights, inputs), maximum=2**30)


def linear_shapes(model: keras.Model) -> list[list[tuple[int, int, int]]]:
    """`(copies, inputs, outputs)` of the matrices that each linear layer multiplies by, in order.

    Each takes `copies` rows for one input of the layer, as many as it is shared by in the Fourier
    basis.

    Raises:
        ValueError: If a layer has weights and is neither `Dense` nor an `EquivariantLinear`.
    """
    shapes = []
    for layer in model.layers:
        if isinstance(layer, GroupDense) and layer.chosen_algorithm() == "fourier":
            inputs, outputs = layer.kernel.shape[-2:]
            dims = [(i.copies, i.representation.dim) for i in real_irreps(layer.group)]
            shapes.append([(copies, d * inputs, d * outputs) for copies, d in dims])
        elif isinstance(layer, EquivariantLinear):
            matrix = layer.prepare()[0]
            (matrix,) = matrix if isinstance(matrix, list) else [matrix]
            shapes.append([(1, *matrix.shape)])
        elif isinstance(layer, keras.layers.Dense):
            shapes.append([(1, *layer.kernel.shape)])
        elif layer.weights:
            raise ValueError(
                "model must consist of linear layers and layers without weights. "
                f"Received: model={model.name!r} with layer {layer.name!r} of type "
                f"{type(layer).__name__}"
            )
    return shapes


def _pieces(x: tf.Tensor, sizes: list[int], copies: list[int]) -> list[tf.Tensor]:
    """Features as the rows of each matrix, repeated where a layer before it gave too few."""
    widths = [n * c for n, c in zip(sizes, copies, strict=True)]
    if x.shape[-1] < sum(widths):  # coefficients that lifting leaves out, as they are 0
        x = tf.tile(x, [1, 1, sum(widths) // x.shape[-1]])
    pieces = tf.split(x, widths, axis=-1)
    rows = x.shape[1]
    return [
        tf.reshape(piece, [x.shape[0], rows * c, n])
        for piece, n, c in zip(pieces, sizes, copies, strict=True)
    ]


def _merged(pieces: list[tf.Tensor], rows: int) -> tf.Tensor:
    return tf.concat([tf.reshape(piece, [piece.shape[0], rows, -1]) for piece in pieces], axis=-1)


def _forward(
    x: tf.Tensor, weights: list[list[tf.Tensor]], copies: list[list[int]]
) -> list[tf.Tensor]:
    """The input and the result of every layer."""
    features = [x]
    for layer, of_layer in zip(weights, copies, strict=True):
        rows = _pieces(features[-1], [w.shape[1] for w in layer], of_layer)
        results = [tf.matmul(row, w) for row, w in zip(rows, layer, strict=True)]
        features.append(_merged(results, x.shape[1]))
    return features


def _trained(
    x: tf.Tensor, weights: list[list[tf.Tensor]], copies: list[list[int]]
) -> list[list[tf.Tensor]]:
    """Forward, backward and a small step along the gradient."""
    features = _forward(x, weights, copies)
    gradient = features[-1]
    stepped = []
    for i in reversed(range(len(weights))):
        layer, of_layer = weights[i], copies[i]
        rows = _pieces(features[i], [w.shape[1] for w in layer], of_layer)
        gradient = gradient[
            ..., : sum(w.shape[2] * c for w, c in zip(layer, of_layer, strict=True))
        ]
        of_rows = _pieces(gradient, [w.shape[2] for w in layer], of_layer)
        stepped.append(
            [
                w + _NUDGE / x.shape[1] * tf.matmul(row, g, transpose_a=True)
                for w, row, g in zip(layer, rows, of_rows, strict=True)
            ]
        )
        if i:
            products = [
                tf.matmul(g, w, transpose_b=True) for w, g in zip(layer, of_rows, strict=True)
            ]
            gradient = _merged(products, x.shape[1])
    return stepped[::-1]


def _nudged(x: tf.Tensor, result: tf.Tensor) -> tf.Tensor:
    return x + _NUDGE * tf.reduce_mean(result, axis=-1, keepdims=True)
