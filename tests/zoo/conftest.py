import shutil

import pytest
import zoo_cases


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return zoo_cases.make_zoo(tmp_path_factory.mktemp("pristine") / "zoo")


@pytest.fixture
def folder(pristine, tmp_path):
    """A zoo of two models of the test's own, to be damaged."""
    return shutil.copytree(pristine, tmp_path / "zoo")
