"""Reinforcement learning that exploits symmetry, on TensorFlow and Keras 3.

`import tf_equirl` registers the Keras layers, so that `keras.models.load_model` reads every
saved model. It imports neither tf-agents, tensorflow-probability nor gymnasium: those come with
`tf_equirl.agents` and `tf_equirl.envs`.
"""

from tf_equirl._quiet import quiet_imports

with quiet_imports():
    import tensorflow as _tensorflow  # noqa: F401

from . import groups, layers, models

__version__ = "0.1.0"
__all__ = ["groups", "layers", "models", "__version__"]
