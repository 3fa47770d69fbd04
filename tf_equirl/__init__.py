"""Reinforcement learning that exploits symmetry, on TensorFlow and Keras 3.

`import tf_equirl` registers the Keras layers, so that `keras.models.load_model` reads every
saved model. It imports neither tf-agents, tensorflow-probability nor gymnasium: those come with
`tf_equirl.agents` and `tf_equirl.envs`. TensorFlow is imported only where it is Keras' backend:
groups, layers, models and the zoo work on the other backends, and what needs TensorFlow says so.
"""

from tf_equirl._tensorflow import import_keras

import_keras()

from . import groups, layers, models  # noqa: E402

__version__ = "0.1.0"
__all__ = ["groups", "layers", "models", "__version__"]
