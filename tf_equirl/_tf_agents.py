"""The one door to tf-agents: every module that needs it calls `require_tf_agents` first."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys

from tf_equirl._quiet import quiet_imports

INSTALL_COMMAND = 'pip install ".[agents]" && pip install --no-deps tf-agents==0.19.0'


def prepare_for_tf_agents() -> None:
    """Lets `tf.keras` lead to Keras 2 once it is first used, where tf-agents is installed.

    It costs nothing, and spares whoever uses `tf.keras` before the first training an error.
    """
    if importlib.util.find_spec("tf_agents") is not None:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"


def require_tf_agents() -> None:
    """Makes tf-agents importable beside Keras 3, or says what is missing.

    tf-agents 0.19 is written for Keras 2. It finds it through `tf.keras` when
    `TF_USE_LEGACY_KERAS=1` is set before `tf.keras` is first touched; `import keras` stays Keras 3.

    Raises:
        ImportError: If tf-agents or a package that it needs is missing (with the command that
            installs them), or if `tf.keras` was already resolved to Keras 3 in this process.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        with quiet_imports():
            # tf-agents imports gym, which announces at every import that it is unmaintained.
            with contextlib.suppress(ImportError):
                importlib.import_module("gym_notices.notices").notices.clear()
            import tensorflow as tf

            legacy = tf.keras.layers.Layer.__module__.startswith("tf_keras")
            if legacy:
                # TensorFlow decided when it was imported where `import tensorflow.keras` leads;
                # tf-agents does that, and it must lead to the same Keras 2.
                sys.modules.setdefault("tensorflow.keras", tf.keras)
                importlib.import_module("tf_agents.agents.ppo.ppo_clip_agent")
                importlib.import_module("tf_agents.environments.tf_environment")
    except ImportError as error:
        raise ImportError(
            f"tf_equirl.agents needs tf-agents and what it stands on. Install them, in a "
            f"checkout of tf_equirl, with: {INSTALL_COMMAND}\n(the import that failed: {error})"
        ) from error
    if not legacy:
        raise ImportError(
            "tf-agents needs Keras 2 behind `tf.keras`, but in this process `tf.keras` was used "
            "before tf_equirl.agents was imported and is Keras 3 by now. Import tf_equirl.agents "
            "first, or set the environment variable TF_USE_LEGACY_KERAS=1 before Python starts. "
            "(`import keras` stays Keras 3 either way.)"
        )
