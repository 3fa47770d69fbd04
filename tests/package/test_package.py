"""What an import loads, and what an installed wheel holds."""

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tf_equirl._quiet import quiet_imports

ROOT = Path(__file__).parents[2]

# Stands for an environment in which these are not installed.
HIDE = """
import sys
wanted = set()
class WithoutHidden:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            wanted.add(name)
            return None
        return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = map(WithoutHidden, sys.meta_path)
"""


def python(code, hidden=(), cwd=ROOT):
    """Runs `code` in a process that inherits none of this one's TensorFlow settings."""
    prefixes = ("TF_", "_TF_EQUIRL", "KERAS")
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=set(hidden)) + code],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith(prefixes)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_core_neither_needs_nor_imports_tf_agents_probability_and_gym_and_is_quiet():
    result = python(
        """
import tf_equirl
from tf_equirl import groups, layers, models
group = groups.cyclic_group(2)
rep = groups.regular_representation(group)
actor = models.actor(groups.Symmetry(group, state=rep, action=rep))
critic = models.critic(groups.Symmetry(group, state=rep, action=rep), "invariant")
print(actor.output_shape, critic.output_shape)
print(wanted)
import tensorflow as tf
tf.get_logger().warning("audible")
""",
        hidden=["tf_agents", "tensorflow_probability", "gym", "gymnasium", "tf_keras"],
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:2] == ["(None, 2) (None, 1)", "set()"]
    assert result.stderr == "WARNING:tensorflow:audible\n"


IMPORTS = """
import sys
from tf_equirl.agents import NonFiniteError, PPOConfig, Progress, TrainingResult
import tf_equirl.dyna, tf_equirl.training
heavy = {"tf_agents", "tf_keras", "tensorflow_probability", "gym"}
print(PPOConfig().num_updates, sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""


def test_without_tf_agents_environments_work_and_the_agents_say_how_to_install_it():
    works = """
import gymnasium
gymnasium.make("tf_equirl.envs:tf_equirl/CartPole-v1").reset()
from tf_equirl import envs
print(envs.make("CartPole").name, wanted)
"""
    says = """
try:
    envs.make_tf_agents("CartPole")
except ImportError as error:
    print(error)
from tf_equirl import agents
agents.train_ppo("CartPole")
"""
    hidden = ["tf_agents", "tensorflow_probability", "gym"]
    result = python(works + IMPORTS + says, hidden)
    assert result.stdout.startswith("CartPole set()\n976 []\n"), result.stderr
    command = "pip install --no-deps tf-agents==0.19.0"
    assert result.returncode != 0 and command in result.stdout and command in result.stderr


@pytest.mark.thorough
def test_a_process_in_which_tf_keras_is_keras_3_already_is_told_so():
    code = "import tensorflow as tf; tf.keras.layers.Dense; from tf_equirl.agents import train_ppo"
    result = python(code)
    assert result.returncode != 0
    assert "TF_USE_LEGACY_KERAS=1" in result.stderr and "Import tf_equirl.agents" in result.stderr


@pytest.mark.parametrize("module", ["colorsys", "nonexistent_module"])
def test_only_a_failing_import_is_not_kept_quiet(module, monkeypatch, capfd):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")  # as where the user sets none
    fails = module == "nonexistent_module"
    expected = pytest.raises(ModuleNotFoundError) if fails else contextlib.nullcontext()
    with expected, quiet_imports():
        os.write(2, b"the reason")
        importlib.import_module(module)
    assert capfd.readouterr().err == ("the reason" if fails else "")


@pytest.mark.parametrize("first", ["tensorflow", pytest.param("keras", marks=pytest.mark.thorough)])
def test_agents_import_after_tensorflow_and_keras_quietly(first):
    """And load tf-agents and what it needs only when they are used."""
    code = (
        f"import {first}, sys\n"
        "print('after', file=sys.stderr, flush=True)\n"
        f"{IMPORTS}"
        "from tf_equirl.agents import train_ppo; import tensorflow as tf, keras\n"
        "print(tf.keras.layers.Layer.__module__.split('.')[0], keras.__version__[0])"
    )
    result = python(code)
    assert result.stdout == "976 []\ntf_keras 3\n", result.stderr
    assert result.stderr.rpartition("after\n")[2] == ""


def test_a_wheel_puts_only_tf_equirl_into_site_packages(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "runs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(copy)], check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"tf_equirl"}
    assert {"tf_equirl/launchers/train_ppo.py", "tf_equirl/py.typed"} <= set(names)
    scripts = zipfile.ZipFile(wheel).read(next(n for n in names if n.endswith("entry_points.txt")))
    assert b"equirl-train-ppo = tf_equirl.launchers.train_ppo:run" in scripts
    # The zoo comes with it: installed into an empty directory, and without tf-agents.
    installed = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(installed), str(wheel)], check=True, timeout=120)
    shutil.rmtree(copy)
    (tmp_path / "empty").mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "from tf_equirl import zoo\n"
        "print(zoo.__file__, *zoo.list())\n"
        "for name in zoo.list(): zoo.verify(name)\n"
        "zoo.verify_outputs(zoo.list()[0])\n"  # those of all are tested in tests/zoo
    )
    result = python(code, hidden=["tf_agents", "tf_keras", "gym"], cwd=tmp_path / "empty")
    assert result.returncode == 0, result.stderr
    file, *models = result.stdout.split()
    assert file.startswith(str(installed))
    assert models == sorted(p.name for p in (ROOT / "zoo").iterdir() if p.is_dir())
    assert len(models) >= 6
