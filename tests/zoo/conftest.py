import shutil

import pytest
import zoo_cases

from tf_equirl import publishing


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return zoo_cases.make_zoo(tmp_path_factory.mktemp("pristine") / "zoo")


@pytest.fixture
def folder(pristine, tmp_path):
    """A zoo of two models of the test's own, to be damaged."""
    return shutil.copytree(pristine, tmp_path / "zoo")


@pytest.fixture(scope="session")
def pristine_mixed(pristine, tmp_path_factory):
    folder = shutil.copytree(pristine, tmp_path_factory.mktemp("mixed") / "zoo")
    zoo_cases.make_transition_entry(folder)
    publishing.write_index(folder)
    return folder


@pytest.fixture
def mixed(pristine_mixed, tmp_path):
    """The same with a transition model."""
    return shutil.copytree(pristine_mixed, tmp_path / "mixed")
