"""What every equivariant linear layer shares."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import flag, instance, optional_text, refuse, within
from tf_equirl._portable import portable_config
from tf_equirl.groups import Representation, signed_pair_orbits, trivial_representation

# A pointwise function commutes with a change of sign only when it is odd.
ODD_ACTIVATIONS = ("linear", "tanh", "softsign")

POINTWISE = (
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "tanh",
    "sigmoid",
    "softplus",
    "softsign",
    "exponential",
)
"""Functions of single numbers: they may be applied before or after a change of shape."""

FEW_OUTPUTS, FEW_ROWS = 4, 512
"""Numbers that a layer gives for each input up to which it computes them one by one, for so many
inputs at most: compilers make better loops of products with a vector, and of their gradients, than
of products with so thin a matrix, but do not share them among processors (docs/performance.md)."""

LARGEST_MATRICES = 1 << 20
"""Numbers in matrices [n, d, d] up to which a layer multiplies by them; signed permutations with
more are gathered by index. Both give the same outputs, but gradients are added up in another order,
and training must repeat its curves to the last bit."""

Kind = TypeVar("Kind")

_PREPARED: contextvars.ContextVar[Mapping[int, Any] | None] = contextvars.ContextVar(
    "prepared", default=None
)


def object_of(kind: type[Kind], value: Any, argument: str) -> Kind:
    """Returns `value`, or builds it when it is the plain config of a `kind`.

    Args:
        kind: A class with `from_config`, such as `FiniteGroup` or `Representation`.
        value: An instance of `kind`, or the dict its `get_config()` returned.
        argument: The name of the layer's argument, for the error message.

    Returns:
        An instance of `kind`.

    Raises:
        ValueError: If `value` is neither.
    """
    if isinstance(value, dict):
        with within(argument):
            return kind.from_config(value)  # type: ignore[attr-defined]
    return instance(argument, value, kind, f"a {kind.__name__} or its config dict")


_OF_KERAS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "activation": (keras.activations.get, "an activation function"),
    "initializer": (keras.initializers.get, "an initializer"),
    "regularizer": (keras.regularizers.get, "a regularizer"),
    "constraint": (keras.constraints.get, "a constraint"),
}


def keras_object(argument: str, value: Any) -> Any:
    """Returns what Keras makes of a name, a configuration or a function.

    Args:
        argument: The name of the layer's argument, such as `kernel_initializer`; its last word
            tells what is wanted.
        value: Its value.

    Returns:
        A callable, or what Keras makes of None.

    Raises:
        ValueError: If `value` is none of these.
    """
    get, what = _OF_KERAS[argument.rpartition("_")[-1]]
    found = None
    # Of arrays Keras would make an initial value, which no layer here could save.
    if isinstance(value, (str, dict)) or callable(value) or value is None:
        with contextlib.suppress(Exception):  # several kinds, and none of them names the argument
            found = get(value)
    if isinstance(found, type) or not callable(found) and value is not None:
        refuse(argument, f"{what} of Keras, its name or its configuration", value)
    return found


def layer_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `keras.layers.Layer`, of which Keras takes more than it can use.

    Raises:
        ValueError: If `name`, `trainable` or `dtype` is none.
    """
    optional_text("name", arguments.get("name"))
    flag("trainable", arguments.get("trainable", True))
    dtype, policy = arguments.get("dtype"), None
    with contextlib.suppress(Exception):  # several kinds, and none of them names the argument
        policy = keras.dtype_policies.get(dtype)
    if not isinstance(policy, keras.DTypePolicy):
        refuse("dtype", "a type of numbers or a policy of Keras", dtype)
    return arguments


def check_activation(activation: Any, outputs: Representation) -> None:
    """Checks that a pointwise function commutes with the matrices of `outputs`.

    Args:
        activation: The layer's activation, as `keras.activations.get` returns it.
        outputs: How the group acts on the layer's output.

    Raises:
        ValueError: If `outputs` changes signs and the activation is not odd, or if `outputs` is no
            signed permutation and there is an activation.
    """
    if outputs.permutations is not None:
        return
    if outputs.signed_permutations is None:
        names: tuple[str, ...] = ("linear",)
        rule = "None where `outputs` is no (signed) permutation: it would break the law"
    else:
        names = ODD_ACTIVATIONS
        rule = f"odd when `outputs` changes signs: one of {', '.join(names)}"
    if activation not in [keras.activations.get(name) for name in names]:
        refuse("activation", rule, activation)


def is_pointwise(activation: Any) -> bool:
    """Returns whether an activation is one of `POINTWISE`."""
    return activation in [keras.activations.get(name) for name in POINTWISE]


def acts_by_index(representation: Representation) -> bool:
    """Returns whether a layer gathers by index in place of multiplying by `rho(g)`."""
    size = representation.group.order * representation.dim**2
    return representation.signs is not None and size > LARGEST_MATRICES


def inverse_indices(representation: Representation) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns what `rho(g_i)^-1` gathers, for every element i of signed permutations.

    Args:
        representation: A (signed) permutation representation of dimension d.

    Returns:
        `index` and `sign`, `[n, d]`, with `rho(g_i)^-1 e_j = sign[i, j] e_index[i, j]` and
        `(rho(g_i) x)[j] = sign[i, j] x[index[i, j]]`. `sign` is `None` where all are one.
    """
    permutations, signs = representation.signed_permutations, representation.signs
    inverses = representation.group.inverses
    index = np.asarray(permutations)[inverses]
    return index, None if representation.permutations is not None else np.asarray(signs)[inverses]


class FixedVectors:
    """The vectors that signed permutations leave fixed, without a matrix.

    Their coordinates are those in the basis that `intertwiner_basis` returns for the trivial
    representation as input: one unit vector for each orbit of coordinates that no sign forbids.

    Args:
        representation: A (signed) permutation representation of dimension d.
    """

    def __init__(self, representation: Representation) -> None:
        """Finds the orbits of the coordinates."""
        orbits = signed_pair_orbits(representation, trivial_representation(representation.group))
        sizes = np.bincount(orbits.index[orbits.sign != 0], minlength=1)
        self._index = orbits.index
        self._factors = orbits.sign / np.sqrt(np.maximum(sizes, 1))[orbits.index]
        self.count = orbits.count
        """Dimension of the space."""

    def vectors(self, coordinates: Any) -> Any:
        """Returns the vectors `[d, units]` of coordinates `[count, units]`."""
        rows = gather_kernel(coordinates[:, None, :], self._index, self._factors)
        return ops.reshape(rows, (len(self._index), -1))


class EquivariantLinear(keras.layers.Layer):
    """Base class of the layers `activation(K x + b)` whose `K` and `b` obey a symmetry.

    The *stored* kernel holds the free parameters alone. `expanded_kernel()` turns it into one
    ordinary matrix `[inputs, outputs]`, so that applying the layer is a single matrix product
    over all leading dimensions, whatever the group.

    A subclass sets `rows` and implements `output_axes`, `kernel_shape`, `expand`, and
    where its law asks for it `initial_kernel`, `bias_shape` and `expanded_bias`. One that can be
    computed otherwise overrides `prepared_kernel` and `apply`.

    Args:
        activation: Pointwise activation, as in `keras.layers.Dense`.
        use_bias: Whether to add a bias, shaped so that the layer keeps its law.
        kernel_initializer: Initializer of the kernel. It sees the true fan-in (every input that
            reaches one output), so that the outputs vary as those of a `Dense` layer of that
            fan-in.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the stored kernel.
        bias_regularizer: Regularizer of the stored bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the stored kernel.
        bias_constraint: Constraint on the stored bias.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument is not one of those.
    """

    rows: int | None = None
    """Length of the input axis before the channels; `None` when there is no such axis."""

    def __init__(
        self,
        *,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        """Keeps the shared arguments."""
        super().__init__(
            activity_regularizer=keras_object("activity_regularizer", activity_regularizer),
            **layer_arguments(kwargs),
        )
        self.activation = keras_object("activation", activation)
        self.use_bias = flag("use_bias", use_bias)
        self.kernel_initializer = keras_object("kernel_initializer", kernel_initializer)
        if self.kernel_initializer is None:  # for the bias Keras knows what that means
            refuse("kernel_initializer", "an initializer of Keras", None)
        self.bias_initializer = keras_object("bias_initializer", bias_initializer)
        self.kernel_regularizer = keras_object("kernel_regularizer", kernel_regularizer)
        self.bias_regularizer = keras_object("bias_regularizer", bias_regularizer)
        self.kernel_constraint = keras_object("kernel_constraint", kernel_constraint)
        self.bias_constraint = keras_object("bias_constraint", bias_constraint)

    @property
    def input_axes(self) -> int:
        """How many axes of the input are the layer's own: channels, and rows where there are."""
        return 1 if self.rows is None else 2

    def output_axes(self) -> tuple[int, ...]:
        """Returns the trailing axes of the output, after the leading dimensions."""
        raise NotImplementedError

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns the shape of the stored kernel for `channels` input channels."""
        raise NotImplementedError

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns the stored kernel's initial value; the initializer must see the true fan-in."""
        return self.kernel_initializer(shape, dtype=dtype)

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[inputs, outputs]` that a kernel of the stored shape stands for."""
        raise NotImplementedError

    def expanded_kernel(self) -> Any:
        """Returns the matrix `[inputs, outputs]` that the stored kernel stands for."""
        return self.expand(ops.convert_to_tensor(self.kernel))

    def bias_shape(self) -> tuple[int, ...]:
        """Returns the shape of the stored bias; size zero where the law allows no bias."""
        return self.output_axes()[-1:]

    def expanded_bias(self) -> Any:
        """Returns the bias, in the shape `output_axes()` or its last axis."""
        return ops.convert_to_tensor(self.bias)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights for inputs of shape `input_shape`.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=self.kernel_shape(channels),
            initializer=self.initial_kernel,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias and 0 not in self.bias_shape():
            self.bias = self.add_weight(
                name="bias",
                shape=self.bias_shape(),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        axes = {-1: channels} if self.rows is None else {-1: channels, -2: self.rows}
        self.input_spec = keras.layers.InputSpec(min_ndim=len(axes), axes=axes)

    def prepare(self, rows: int | None = None, stay: bool = False) -> Any:
        """Returns what the layer makes of its weights alone, a structure of tensors.

        `call` does so each time, unless it is told by `prepared` what was made before: where a
        layer is called again and again with the same weights, that is most of the work.

        Args:
            rows: Number of inputs that it is made for, the leading dimensions multiplied; `None`
                where that is not known.
            stay: Whether it is made once for many calls.
        """
        kernel = self.prepared_kernel(rows, stay)
        return kernel, () if self.bias is None else self.expanded_bias()

    def prepared_kernel(self, rows: int | None, stay: bool) -> Any:
        """Returns what `apply` takes for the kernel; see `prepare` for the arguments."""
        return self.expanded_kernel()

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns `activation(K x + b)` for what `prepare` made of the weights."""
        matrix, bias = prepared
        has_bias = not isinstance(bias, tuple)
        leading = self.leading_shape(inputs)
        rows = self.known_rows(inputs)
        inputs = ops.reshape(inputs, (-1, matrix.shape[0]))
        if 1 < matrix.shape[1] <= FEW_OUTPUTS and rows is not None and rows <= FEW_ROWS:
            columns = ops.unstack(matrix, axis=1)
            outputs = ops.stack([ops.matmul(inputs, column) for column in columns], axis=-1)
        else:
            outputs = ops.matmul(inputs, matrix)
        if has_bias and len(bias.shape) > 1:
            # Flat: Keras adds a bias [rows, 1] along axis 1 of the outputs, whichever that is.
            outputs = ops.add(outputs, ops.reshape(bias, (-1,)))
        outputs = ops.reshape(outputs, (*leading, *self.output_axes()))
        if has_bias and len(bias.shape) == 1:
            outputs = ops.add(outputs, bias)
        return self.activation(outputs)

    def apply_to_rows(self, rows: list[Any]) -> Any:
        """Returns what the activation makes of rows `[..., units]`, stacked along axis -2.

        Before they are stacked, where that is the same: compilers then write them only once.
        """
        if is_pointwise(self.activation):
            return ops.stack([self.activation(row) for row in rows], axis=-2)
        return self.activation(ops.stack(rows, axis=-2))

    def call(self, inputs: Any) -> Any:
        """Applies the layer to `inputs`, over any leading dimensions."""
        known = _PREPARED.get()
        if known is not None and id(self) in known:
            prepared = known[id(self)]
        else:
            prepared = self.prepare(self.known_rows(inputs))
        return self.apply(inputs, prepared)

    def leading_shape(self, inputs: Any) -> Any:
        """Returns the shape of `inputs` without the layer's own axes."""
        return ops.shape(inputs)[: len(inputs.shape) - self.input_axes]

    def known_rows(self, inputs: Any) -> int | None:
        """Returns how many inputs there are, leading dimensions multiplied, if that is known."""
        leading = inputs.shape[: len(inputs.shape) - self.input_axes]
        return None if None in leading else math.prod(leading)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the output's shape, leading dimensions unchanged.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        self._channels(input_shape)
        return (*input_shape[: -self.input_axes], *self.output_axes())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config.update(
            activation=keras.activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
            bias_initializer=keras.initializers.serialize(self.bias_initializer),
            kernel_regularizer=keras.regularizers.serialize(self.kernel_regularizer),
            bias_regularizer=keras.regularizers.serialize(self.bias_regularizer),
            activity_regularizer=keras.regularizers.serialize(self.activity_regularizer),
            kernel_constraint=keras.constraints.serialize(self.kernel_constraint),
            bias_constraint=keras.constraints.serialize(self.bias_constraint),
        )
        return portable_config(config)

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        """Returns the static number of input channels, after checking the whole shape."""
        shape = tuple(input_shape)
        expected = "[..., channels]" if self.rows is None else f"[..., {self.rows}, channels]"
        right_rows = self.rows is None or (len(shape) > 1 and shape[-2] == self.rows)
        if not shape or not right_rows or shape[-1] is None:
            raise ValueError(
                f"The input of {type(self).__name__} '{self.name}' must have shape {expected}, "
                f"with a known number of channels. Received: input_shape={shape}"
            )
        return shape[-1]


def equivariant_layers(model: keras.Model) -> list[EquivariantLinear]:
    """The equivariant linear layers of a model, each once, those of nested models too."""
    return [x for x in model._flatten_layers() if isinstance(x, EquivariantLinear)]


@contextlib.contextmanager
def prepared(layers: Sequence[EquivariantLinear], values: Sequence[Any]) -> Iterator[None]:
    """Within it the layers use what `prepare` gave before, instead of making it at each call.

    Args:
        layers: Some layers.
        values: What `prepare` of each gave.
    """
    known = dict(_PREPARED.get() or {})
    known |= {id(layer): value for layer, value in zip(layers, values, strict=True)}
    token = _PREPARED.set(known)
    try:
        yield
    finally:
        _PREPARED.reset(token)


def weights_are_bound() -> bool:
    """Returns whether the weights of layers are, for now, those of one of many members.

    `tf.vectorized_map` then maps what layers compute over the members.
    """
    return _PREPARED.get() is not None


def gather_kernel(kernel: Any, index: np.ndarray, sign: np.ndarray | None = None) -> Any:
    """Expands a kernel whose blocks are shared along orbits of index pairs.

    Args:
        kernel: The stored kernel, `[count, channels, units]`.
        index: Integers `[outputs, inputs]`, the block that joins each input to each output.
        sign: Factors `[outputs, inputs]` of the blocks; `None` for all ones.

    Returns:
        The matrix `[inputs * channels, outputs * units]` whose block from input `j` to output
        `i` is `sign[i, j] * kernel[index[i, j]]`.
    """
    outputs, inputs = index.shape
    _, channels, units = kernel.shape
    # Gathering along an inner axis: along axis 0 TensorFlow's gradient would be a sparse
    # IndexedSlices, which optimizers and vectorised gradients treat differently.
    blocks = ops.take(ops.transpose(kernel, (1, 0, 2)), index.T, axis=1)
    if sign is not None:
        blocks = ops.multiply(blocks, ops.cast(sign.T[:, :, None], kernel.dtype))
    blocks = ops.transpose(blocks, (1, 0, 2, 3))
    return ops.reshape(blocks, (inputs * channels, outputs * units))
