"""`launchers.publish` tells policies from transition models; what it calls has tests of its own."""

import pytest
from in_process import run_here

from tf_equirl import publishing
from tf_equirl.training.checkpoint import FORMAT
from tf_equirl.training.run_folder import RunFolder

FIELDS = {"environment": "", "seeds": []}
FIELDS |= dict.fromkeys(("config", "environment_config", "symmetry", "versions"), {})


@pytest.fixture(params=[("actor", "critic"), ("transition_model",)], ids=["policy", "transition"])
def run(request, tmp_path):
    """The description of a run, and the function that publishes such runs."""
    models = {role: {} for role in request.param}
    description = {**FIELDS, "models": models, "format": FORMAT}
    description["trainer"] = "train_ppo" if len(models) == 2 else "fit_transition_model"
    RunFolder(tmp_path, description).write_description()
    is_policy = "actor" in request.param
    return tmp_path, "publish" if is_policy else "publish_transition_model", is_policy


@pytest.fixture
def calls(monkeypatch):
    """What would have been published."""
    found = []
    for name in ("publish", "publish_transition_model"):
        monkeypatch.setattr(
            publishing, name, lambda name_=name, **given: found.append((name_, given)) or "there"
        )
    return found


def test_it_publishes_what_the_folder_holds(run, calls):
    folder, function, is_policy = run
    own = ["--success=5", "--episodes=7"] if is_policy else ["--transitions=60"]
    result = run_here("publish", f"--run_dir={folder}", "--name=x", "--limit=Tiny.", *own)
    assert result.returncode == 0, result.stderr
    assert "published: there" in result.stdout
    ((name, given),) = calls
    own = {"success": 5, "episodes": 7} if is_policy else {"transitions": 60}
    shared = {"name": "x", "run_dir": str(folder), "zoo_dir": "zoo", "limits": ["Tiny."]}
    shared["licence"] = None
    assert name == function and given == {**shared, "description": None, **own}


def test_flags_of_the_other_type_are_refused(run, calls):
    folder, _, is_policy = run
    what = "policy" if is_policy else "transition model"
    for flag in ("transitions",) if is_policy else ("success", "episodes"):
        result = run_here("publish", f"--run_dir={folder}", "--name=x", f"--{flag}=5")
        assert f"error: --{flag} must not be given for a {what}" in result.stderr
    if is_policy:
        result = run_here("publish", f"--run_dir={folder}", "--name=x")
        assert "error: --success must be given for a policy" in result.stderr
    result = run_here("publish", f"--run_dir={folder}")
    assert "error: --name must be given" in result.stderr
    assert not calls
