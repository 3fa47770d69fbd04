import contextlib
import zlib

import pytest

# First of all imports: it loads tf-agents beside Keras 3, which nothing may do before it, and keeps
# the start-up chatter of TensorFlow and gym away. Where tf-agents is missing, the tests that need
# it say so themselves.
with contextlib.suppress(ImportError):
    import tf_equirl.agents.ppo.door  # noqa: F401


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Layers that a test leaves to chance get the same numbers at every run, alone or not."""
    import keras

    keras.utils.set_random_seed(zlib.crc32(item.nodeid.encode()))


@pytest.fixture(scope="module")
def without_xla():
    """Of a module whose tests ask nothing of XLA: `pytestmark = pytest.mark.usefixtures(...)`."""
    from compiling import uncompiled  # imports TensorFlow

    with uncompiled():
        yield
