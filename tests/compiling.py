"""Whether XLA compiles, which the count of traces does not tell, and how to do without."""

import contextlib
import tempfile
from collections import OrderedDict
from pathlib import Path

import tensorflow as tf

from tf_equirl.training import programs

_uncompiled: OrderedDict = OrderedDict()
# What the profiler calls it, on processors and on GPUs.
_NAMES = (b"CpuCompiler::", b"NVPTXCompiler::", b"GpuCompiler::")


def compiles(call):
    """Whether something is compiled while `call` runs."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            call()
        recorded = b"".join(file.read_bytes() for file in Path(folder).rglob("*.xplane.pb"))
    assert recorded, "the profiler must have recorded something"
    return any(name in recorded for name in _NAMES)


@contextlib.contextmanager
def eagerly():
    """Compiles nothing, which takes seconds, where neither the law nor rounding asks for it."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def uncompiled():
    """Traces programs without compiling them with XLA, which takes most of a short run's time.

    For tests of what a run is used for, which any run serves. Numbers are rounded otherwise than
    those of compiled programs; the two kinds are kept apart.
    """
    function = tf.function

    def traced(*arguments, jit_compile=None, **options):
        return function(*arguments, **options)

    kept = programs._kept
    tf.function, programs._kept = traced, _uncompiled
    try:
        yield
    finally:
        tf.function, programs._kept = function, kept
