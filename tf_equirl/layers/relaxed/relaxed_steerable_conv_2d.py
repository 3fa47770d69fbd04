"""A convolution whose filters are relaxed pixel by pixel."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import number, refuse
from tf_equirl._portable import portable_config
from tf_equirl.groups import Representation
from tf_equirl.layers.base import keras_object
from tf_equirl.layers.grid.symmetrizer_conv_2d import SymmetrizerConv2D
from tf_equirl.layers.relaxed.certificate import EquivarianceCertificate, cover, largest_norm


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedSteerableConv2D(SymmetrizerConv2D):
    """Relaxed steerable convolution: a basis of steerable filters with weights at every pixel.

        y(x) = activation(sum_u sum_k alpha_k w_k(u) V_k(u) f(x + u) + b)

    V_1, ..., V_r is the basis of `SymmetrizerConv2D`, and u runs over the pixels of a window: w
    does not depend on x, so that shifts stay exact, and turns and flips break. Where every w_k is
    constant, the law of `SymmetrizerConv2D` holds.

    Wang, Walters & Yu, "Approximately Equivariant Networks for Imperfectly Symmetric Dynamics"
    (2022), section 4.2, and Park et al., "Approximate Equivariance in Reinforcement Learning"
    (2025), appendix C.2, which calls u an absolute position; in the former's code it is the pixel
    of a filter, and w begins at random: with `relaxation_initializer="normal"`. By default the
    layer begins equivariant.

    Input shape: `[..., height, width, m, C]`, with `m` the dimension of `channels`.
    Output shape: `[..., height', width', n, filters]`, with `n` the order of the group.

    Args:
        filters: See `SymmetrizerConv2D`.
        kernel_size: Likewise.
        channels: Likewise.
        rate: w is 1 + rate * theta, of stored weights theta; see `Relaxed`.
        relaxation_initializer: Initializer of theta.
        **kwargs: See `SymmetrizerConv2D`. The basis is "exact".

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, trivial_representation
        >>> layer = RelaxedSteerableConv2D(4, 3, trivial_representation(cyclic_group(4), 2))
        >>> layer(np.ones([1, 9, 9, 2, 1], "float32")).shape
        TensorShape([1, 7, 7, 4, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        channels: Representation | dict[str, Any],
        *,
        rate: float = 1.0,
        relaxation_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        """Checks the arguments; computes the basis."""
        super().__init__(filters, kernel_size, channels, **kwargs)
        if self.basis != "exact":
            refuse("basis", '"exact" where its filters are relaxed', self.basis)
        self.rate = number("rate", rate, "a positive number", lambda x: x > 0)
        self.relaxation_initializer = keras_object("relaxation_initializer", relaxation_initializer)
        if self.relaxation_initializer is None:
            refuse("relaxation_initializer", "an initializer of Keras", None)
        # The pixel of every row of a window.
        self._pixel = np.arange(self.window.dim) // self.channels.dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights for pictures of a known size.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs, or the
                windows break the symmetry of such pictures.
        """
        super().build(input_shape)
        rows, columns = self.geometry.kernel_size
        self.relaxation = self.add_weight(
            name="relaxation",
            shape=(self.kernel.shape[0], rows * columns),
            initializer=self.relaxation_initializer,
        )

    def relaxation_weights(self) -> Any:
        """Returns w, `[r, pixels of a window]`, in row-major order."""
        return ops.add(ops.multiply(ops.convert_to_tensor(self.relaxation), self.rate), 1.0)

    def expanded_kernel(self) -> Any:
        """Returns the matrix `[numbers of a window, n * filters]`."""
        return self._mixed(self.relaxation_weights())

    def _mixed(self, weights: Any) -> Any:
        kernel = ops.convert_to_tensor(self.kernel)
        _, channels, units = kernel.shape
        d_out, d_in = self.outputs.dim, self.inputs.dim
        weights = ops.take(ops.cast(weights, kernel.dtype), self._pixel, axis=1)  # [r, d_in]
        if self._orbits is not None:
            # Every entry belongs to one filter of the basis.
            flat = self._orbits.index * d_in + np.arange(d_in)
            factors = ops.take(ops.reshape(weights, (-1,)), flat.T.ravel())
            blocks = ops.reshape(self.expand(kernel), (d_in, channels, d_out, units))
            blocks = ops.multiply(blocks, ops.reshape(factors, (d_in, 1, d_out, 1)))
            return ops.reshape(blocks, (d_in * channels, d_out * units))
        basis = ops.cast(self.kernel_basis, kernel.dtype)
        return self.combined(ops.multiply(basis, weights[:, None]), kernel)

    def equivariance_certificate(self) -> EquivarianceCertificate:
        """Returns a bound on the equivariance error, see `EquivarianceCertificate`.

        What is left of the filters without the mean of every w_k is moved by one element and by
        none: its norm, twice where an element keeps lengths. Only for a layer that is built.
        """
        weights = self.relaxation_weights()
        rest = self._mixed(ops.subtract(weights, ops.mean(weights, axis=1, keepdims=True)))
        norm = np.linalg.norm(ops.convert_to_numpy(rest).astype(np.float64), 2)
        slope = (1 + largest_norm(self.channels)) * float(norm) * cover(self.geometry)
        return EquivarianceCertificate(slope)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        initializer = keras.initializers.serialize(self.relaxation_initializer)
        config = {**super().get_config(), "rate": self.rate}
        return portable_config({**config, "relaxation_initializer": initializer})
