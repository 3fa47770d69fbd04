"""The doors to Keras and to TensorFlow: they say what to do where a backend is missing."""

from __future__ import annotations

import os

from tf_equirl._quiet import quiet_imports


def import_keras() -> None:
    """Imports Keras, and with it its backend: TensorFlow, JAX or PyTorch, which have much to say.

    Raises:
        ImportError: If the backend that is set does not exist, or its package cannot be imported.
    """
    try:
        with quiet_imports():
            import keras  # noqa: F401
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        place = f"KERAS_BACKEND={backend}" if backend else "what keras.json says, or TensorFlow"
        raise ImportError(
            "tf_equirl needs a backend of Keras that is installed. Install it, or set the "
            "environment variable KERAS_BACKEND=tensorflow before Python starts, with which all of "
            f"tf_equirl works. Received: {place} ({error})"
        ) from None


def require_tensorflow(part: str) -> None:
    """Says what to set where Keras computes with something else than TensorFlow.

    Groups, layers, models and the zoo work on every backend of Keras; training, environments and
    exporters are written in TensorFlow, and their models must compute with it.

    Args:
        part: What needs it, such as "tf_equirl.envs"; for the message.

    Raises:
        ImportError: If Keras' backend is another one.
    """
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"{part} needs Keras' TensorFlow backend. Set the environment variable "
            "KERAS_BACKEND=tensorflow before Python starts, or "
            '"backend": "tensorflow" in keras.json. '
            f"Received: backend={backend!r}"
        )
