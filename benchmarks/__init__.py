"""Measurements of speed; no test asserts on them."""

# Before anything imports TensorFlow: it silences what TensorFlow prints at start-up.
import tf_equirl  # noqa: F401
