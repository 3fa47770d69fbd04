"""The same tests on another backend, where one is installed beside TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
FILES = ["tests/backends/test_any_backend.py", "tests/layers/test_golden_layers.py"]
# A part, as JAX compiles every operation by itself; `make test-backends` runs all.
PART = "nothing or computed or cartpole-ppo-gcnn"


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="this process has another backend itself"
)
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_they_pass_on_another_backend(backend):
    """And TensorFlow, which is installed here, is not imported."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(
            f"{backend} is not installed: `make test-backends` makes an environment with it"
        )
    dropped = ("TF_", "_TF_EQUIRL", "PYTEST")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    options = ["-q", "-k", PART, "--noconftest", "-p", "no:cacheprovider", "-o", "addopts="]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *FILES],
        cwd=ROOT,
        env={**kept, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout and " skipped" not in result.stdout


@pytest.mark.parametrize("backend", ["torch", "jax", "nonsense"])
def test_a_backend_that_is_not_installed_is_told(backend):
    """In one sentence, by the package and by a launcher."""
    if importlib.util.find_spec(backend) is not None:
        pytest.skip(f"{backend} is installed")
    told = "set the environment variable KERAS_BACKEND=tensorflow before Python starts"
    for arguments, start in (
        (["-c", "import tf_equirl.zoo"], "ImportError: tf_equirl needs a backend of Keras"),
        (["-m", "launchers.evaluate", "--model=x"], "error: tf_equirl needs a backend of Keras"),
    ):
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=100,
        )
        last = result.stderr.strip().splitlines()[-1]
        assert result.returncode == 1
        assert last.startswith(start) and told in last and f"KERAS_BACKEND={backend}" in last
