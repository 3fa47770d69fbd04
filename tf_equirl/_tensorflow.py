"""The one door to TensorFlow: every package that needs it calls `require_tensorflow` first."""

from __future__ import annotations

import keras


def require_tensorflow(part: str) -> None:
    """Says what to set where Keras computes with something else than TensorFlow.

    Groups, layers, models and the zoo work on every backend of Keras; training, environments and
    exporters are written in TensorFlow, and their models must compute with it.

    Args:
        part: What needs it, such as "tf_equirl.envs"; for the message.

    Raises:
        ImportError: If Keras' backend is another one.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"{part} needs Keras' TensorFlow backend. Set the environment variable "
            "KERAS_BACKEND=tensorflow before Python starts, or "
            '"backend": "tensorflow" in keras.json. '
            f"Received: backend={backend!r}"
        )
