"""The one form of loop that the compiled programs use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def repeat(times: Any, body: Callable[..., Any], carry: Any, maximum: int | None = None) -> Any:
    """Calls `carry = body(i, carry)` for i = 0 .. times - 1 inside the graph.

    Args:
        times: A Python int, or a scalar int32 tensor with `maximum` as its bound.
        body: Maps the step's number and a nested structure of tensors to the next structure.
        carry: The first structure.
        maximum: Upper bound on `times`; `times` itself if None. XLA needs it to lay out arrays.
    """
    _, carry = tf.while_loop(
        lambda i, _: i < times,
        lambda i, c: (i + 1, body(i, c)),
        (tf.constant(0), carry),
        maximum_iterations=times if maximum is None else maximum,
    )
    return carry


def repeat_and_stack(
    times: Any, body: Callable[..., Any], carry: Any, maximum: int | None = None
) -> tuple[Any, Any]:
    """`repeat` with a body that also reports something at each step.

    Args:
        times: See `repeat`.
        body: Maps the step's number and a structure of tensors to the next structure and a
            structure of tensors to keep. It is traced once.
        carry: The first structure.
        maximum: See `repeat`.

    Returns:
        The last structure, and what was reported, stacked along a first axis of length `maximum`,
        of which the first `times` rows count.
    """
    size = times if maximum is None else maximum
    step = tf.function(body, autograph=False)
    reported = step.get_concrete_function(tf.constant(0), carry).structured_outputs[1]
    arrays = tf.nest.map_structure(
        lambda x: tf.TensorArray(x.dtype, size, element_shape=x.shape), reported
    )

    def stacking(i, state):
        carry, arrays = state
        carry, row = step(i, carry)
        return carry, tf.nest.map_structure(lambda a, x: a.write(i, x), arrays, row)

    carry, arrays = repeat(times, stacking, (carry, arrays), maximum)
    return carry, tf.nest.map_structure(lambda a: a.stack(), arrays)
