"""Keeps the start-up chatter of imported libraries off the user's terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Swallows what an import inside the block writes to standard error.

    TensorFlow's C++ side writes to the file descriptor before its log level is in force, so that
    the descriptor itself is redirected. If the import fails, everything swallowed is shown. A user
    who sets `TF_CPP_MIN_LOG_LEVEL` decides alone: nothing is swallowed then.
    """
    if os.environ.get(_LEVEL) and not os.environ.get("_TF_EQUIRL_QUIET"):
        yield
        return
    os.environ[_LEVEL] = "3"
    # Remembered in the environment, so that subprocesses know the level was not the user's choice.
    os.environ["_TF_EQUIRL_QUIET"] = "1"
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed: there is nothing to keep quiet
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as swallowed:
        os.dup2(swallowed.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            if failed:
                swallowed.seek(0)
                os.write(2, swallowed.read())
