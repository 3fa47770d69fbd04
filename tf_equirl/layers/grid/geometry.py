"""Where a convolution looks in a picture: kernel, stride and padding, and when turning commutes."""

from __future__ import annotations

from typing import Any

from keras import ops

from tf_equirl._checks import as_integer, refuse
from tf_equirl.groups import Picture

LARGEST_KERNEL = 256
"""Rows and columns of a kernel, of a stride and of a padding."""

PADDINGS = ("valid", "same", "circular")


def pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """Returns rows and columns, of one integer for both or of two.

    Args:
        name: The argument's name.
        value: Its value.
        least: The smallest integer that it may be.

    Raises:
        ValueError: If it is neither an integer nor two, from `least` to 256.
    """
    rule = f"an integer from {least} to {LARGEST_KERNEL}, or two of them, for rows and for columns"
    both = value if isinstance(value, (list, tuple)) else (value, value)
    found = tuple(as_integer(x) for x in both)
    if len(found) != 2 or any(x is None or not least <= x <= LARGEST_KERNEL for x in found):
        refuse(name, rule, value)
    return found  # type: ignore[return-value]


class Geometry:
    """Kernel size, stride and padding of a convolution of pictures [..., height, width, channels].

    Turning or mirroring a picture commutes with the convolution only where the windows lie
    symmetrically in it: along every axis that an element of the group reverses,

        (size + padding on both sides - kernel size) mod stride = 0,

    with as much padding on one side as on the other.

    Args:
        kernel_size: Rows and columns of the kernel, or one integer for both.
        strides: Rows and columns between two outputs, likewise.
        padding: "valid", none; "same", zeros such that an axis of n becomes one of n / stride,
            rounded up; "circular", where the picture is a torus, such that an axis of n becomes one
            of n / stride; or rows and columns of zeros on each side, one integer for both.

    Raises:
        ValueError: If an argument is not one of those.
    """

    def __init__(self, kernel_size: Any, strides: Any = 1, padding: Any = "valid") -> None:
        """Checks and keeps the arguments."""
        self.kernel_size = pair("kernel_size", kernel_size, 1)
        self.strides = pair("strides", strides, 1)
        self.padding: str | tuple[int, int]
        if isinstance(padding, str):
            if padding not in PADDINGS:
                refuse("padding", f"one of {', '.join(PADDINGS)}, or integers", padding)
            self.padding = padding
        else:
            self.padding = pair("padding", padding, 0)

    def check_motions(self, picture: Picture) -> None:
        """Checks that rows and columns are alike where an element makes a quarter turn.

        Raises:
            ValueError: If they are not; the message names the argument and the element.
        """
        quarter = next((g for g, turn in enumerate(picture.turns) if turn % 2), None)
        if quarter is None:
            return
        for name in ("kernel_size", "strides", "padding"):
            value = getattr(self, name)
            if not isinstance(value, str) and value[0] != value[1]:
                rule = f"alike in rows and columns, as element {quarter} makes a quarter turn"
                refuse(name, rule, value)

    def pads(self, axis: int, size: int) -> tuple[int, int]:
        """Rows or columns that are added before and after an axis of some size.

        Raises:
            ValueError: If circular padding does not fit the size.
        """
        kernel, stride = self.kernel_size[axis], self.strides[axis]
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            return total // 2, total - total // 2
        if self.padding == "circular":
            total = kernel - stride
            if size % stride or total < 0 or total % 2 or total // 2 > size:
                raise ValueError(
                    "Circular `padding` needs a size that `strides` divides, and a `kernel_size` "
                    "that is larger than `strides` by an even number, or equal to it. Received: "
                    f"size={size}, kernel_size={kernel}, strides={stride}"
                )
            return total // 2, total // 2
        return (self.padding[axis],) * 2  # type: ignore[return-value]

    def output_size(self, size: tuple[int, int], picture: Picture | None = None) -> tuple[int, int]:
        """Rows and columns of the outputs.

        Args:
            size: Rows and columns of the inputs.
            picture: How the group moves pictures, if the convolution must commute with it.

        Raises:
            ValueError: If the kernel is larger than the padded picture, or size, kernel, stride and
                padding break the condition of the class; the message tells which sizes would do.
        """
        reversed_ = (False, False) if picture is None else _reversed_axes(picture)
        found = []
        for axis, name in enumerate(("height", "width")):
            before, after = self.pads(axis, size[axis])
            kernel, stride = self.kernel_size[axis], self.strides[axis]
            room = size[axis] + before + after - kernel
            received = (
                f"Received: {name}={size[axis]}, kernel_size={kernel}, strides={stride}, "
                f"padding={self.padding!r}, which adds {before} and {after}"
            )
            if room < 0:
                raise ValueError(
                    f"`kernel_size` must be at most the {name} with its padding, "
                    f"{size[axis] + before + after}. {received}"
                )
            if reversed_[axis] and (before != after or room % stride):
                raise ValueError(
                    f"`kernel_size`, `strides` and `padding` must lie symmetrically in the "
                    f"{name}, which an element of the group reverses: ({name} + padding - "
                    f"kernel_size) must be a multiple of strides, with equal padding on both "
                    f"sides. {received}. {self._advice(axis, size[axis])}"
                )
            found.append(room // stride + 1)
        return found[0], found[1]

    def _advice(self, axis: int, size: int) -> str:
        kernel, stride = self.kernel_size[axis], self.strides[axis]

        def fits(other: int) -> bool:
            before, after = Geometry(other, self.strides, self.padding).pads(axis, size)
            room = size + before + after - other
            return before == after and room >= 0 and room % stride == 0

        fitting = [other for other in range(1, min(size, 2 * kernel + stride) + 1) if fits(other)]
        near = sorted(sorted(fitting, key=lambda other: abs(other - kernel))[:4])
        what = " or ".join(map(str, near))
        return f"Kernel sizes that fit: {what}" if near else "A stride of 1 would fit"

    def padded(self, inputs: Any) -> Any:
        """Returns pictures [..., height, width, channels] with their padding."""
        axes = len(inputs.shape)
        for axis, place in ((0, axes - 3), (1, axes - 2)):
            before, after = self.pads(axis, inputs.shape[place])
            if not before and not after:
                continue
            if self.padding == "circular":
                size = inputs.shape[place]
                parts = [
                    _part(inputs, place, size - before, size),
                    inputs,
                    _part(inputs, place, 0, after),
                ]
                inputs = ops.concatenate(parts, axis=place)
            else:
                widths = [[0, 0]] * axes
                widths[place] = [before, after]
                inputs = ops.pad(inputs, widths)
        return inputs

    def correlated(self, inputs: Any, matrix: Any) -> Any:
        """Returns the convolution as slices and products with matrices.

        The slices of one row of the kernel stand side by side, so that each row of the kernel is
        one product. It is made of operations that `tf.vectorized_map` maps over kernels, too.

        Args:
            inputs: [..., height, width, C].
            matrix: [kernel rows * kernel columns * C, N].

        Returns:
            [..., height', width', N].
        """
        inputs = self.padded(inputs)
        *_, height, width, _ = inputs.shape
        (rows, columns), (down, across) = self.kernel_size, self.strides
        tall, wide = (height - rows) // down + 1, (width - columns) // across + 1
        axis = len(inputs.shape) - 3
        shifted = [
            _part(inputs, axis + 1, j, j + across * (wide - 1) + 1, across) for j in range(columns)
        ]
        beside = ops.concatenate(shifted, axis=-1) if columns > 1 else shifted[0]
        count = matrix.shape[0] // rows
        outputs = None
        for i in range(rows):
            seen = _part(beside, axis, i, i + down * (tall - 1) + 1, down)
            product = ops.matmul(seen, matrix[i * count : (i + 1) * count])
            outputs = product if outputs is None else ops.add(outputs, product)
        return outputs

    def convolved(self, inputs: Any, matrix: Any) -> Any:
        """Returns the same by Keras' own convolution.

        Args:
            inputs: [batch, height, width, C].
            matrix: See `correlated`.
        """
        kernel = ops.reshape(matrix, (*self.kernel_size, -1, matrix.shape[1]))
        return ops.conv(self.padded(inputs), kernel, self.strides, "valid", "channels_last")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as plain JSON values."""
        padding = self.padding if isinstance(self.padding, str) else list(self.padding)
        return {
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": padding,
        }


def _part(inputs: Any, axis: int, begin: int, end: int, step: int = 1) -> Any:
    """Returns a slice of one axis."""
    if begin == 0 and end == inputs.shape[axis] and step == 1:
        return inputs
    return inputs[(slice(None),) * axis + (slice(begin, end, step),)]


def _reversed_axes(picture: Picture) -> tuple[bool, bool]:
    """Whether some element reverses the rows, and whether one does the columns."""
    rows = columns = False
    for turn, flip in zip(picture.turns, picture.flips, strict=True):
        if turn % 2:
            # Mirrored and turned once: rows become columns, in the same order.
            transposed = turn == 1 and flip
            rows, columns = rows or not transposed, columns or not transposed
        else:
            half = turn == 2
            rows, columns = rows or half, columns or half != bool(flip)
    return rows, columns
