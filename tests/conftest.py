import contextlib
import gc
import re
import zlib
from unittest import mock

import pytest

# Looks for garbage less often, which takes a fifth of the time of all these imports and a good part
# of that of tracing programs.
gc.set_threshold(50_000, 10, 10)

# First of all imports: it loads tf-agents beside Keras 3, which nothing may do before it, and keeps
# the start-up chatter of TensorFlow and gym away. Where tf-agents is missing, the tests that need
# it say so themselves.
with contextlib.suppress(ImportError):
    import tf_equirl.agents.ppo.door  # noqa: F401


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Layers that a test leaves to chance get the same numbers at every run, alone or not.

    TensorFlow's own generator is left out: to seed it throws away the kernels of all operations and
    programs, which then take longer to make again than most tests to run. Nothing draws from it.
    """
    import keras

    with mock.patch("tensorflow.random.set_seed"):
        keras.utils.set_random_seed(zlib.crc32(item.nodeid.encode()))


# Files that train the same programs run in one process, which compiles them once.
TOGETHER = (
    r"agents/test_sac_",
    r"agents/test_dqn_",
    r"agents/test_(learner|train_ppo)\.",
    r"agents/test_(augmentation_ppo|configs)\.",
    r"training/test_(blocks|more|stopping)\.",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Shares files out to processes, those that are `TOGETHER` as one."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return next((files for files in TOGETHER if re.search(files, file)), file)

    return Together(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish():
    """Does not look for garbage among what stays until the end."""
    gc.freeze()


@pytest.fixture(scope="module")
def without_xla():
    """Of a module whose tests ask nothing of XLA: `pytestmark = pytest.mark.usefixtures(...)`."""
    from compiling import uncompiled  # imports TensorFlow

    with uncompiled():
        yield
