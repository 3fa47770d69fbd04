"""Processes of their own, as a user without our environment variables would start them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def user_environment(**variables):
    """The environment variables without those that TensorFlow, Keras and tests/conftest.py set."""
    ours = ("TF_", "_TF_EQUIRL", "KERAS")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, **variables}


def run_python(*arguments, **variables):
    """Runs Python in the checkout with further environment variables."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=user_environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )
