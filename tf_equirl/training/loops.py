"""The one form of loop that the compiled programs use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def repeat(times: Any, body: Callable[..., Any], carry: Any, maximum: int | None = None) -> Any:
    """Calls `carry = body(i, carry)` for i = 0 .. times - 1 inside the graph.

    Args:
      times: a Python int, or a scalar int32 tensor with `maximum` as its bound.
      body: maps the step's number and a nested structure of tensors to the next structure.
      carry: the first structure.
      maximum: upper bound on `times`; `times` itself if None. XLA needs it to lay out arrays.
    """
    _, carry = tf.while_loop(
        lambda i, _: i < times,
        lambda i, c: (i + 1, body(i, c)),
        (tf.constant(0), carry),
        maximum_iterations=times if maximum is None else maximum,
    )
    return carry
