"""An environment of the user's own, in the current directory, through the launchers."""

import json
import sys

import numpy as np
import pytest
import windy
from in_process import run_here

from tf_equirl import agents, models, zoo

pytestmark = pytest.mark.usefixtures("without_xla")

QUICK = ["--hidden_units=4", "--num_seeds=2", "--rollout_steps=16", "--num_environments=2"]
QUICK += ["--total_timesteps=64", "--run_dir=run"]
WINDY = ["--env=windy_module:Windy", "--env_arg=wind=0.5", "--env_arg=max_episode_steps=6"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current directory, where the module is; every start finds it not imported yet."""
    (tmp_path / "windy_module.py").write_text(windy.SOURCE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    forget()


def forget():
    sys.modules.pop("windy_module", None)


def start(name, *arguments):
    """Runs a launcher as a new process would, without the module."""
    forget()
    result = run_here(name, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_run_is_resumed_loaded_and_evaluated(folder):
    assert "Windy: mean return" in start("train_ppo", *WINDY, *QUICK)
    forget()
    result = agents.load_result("run")
    description = json.loads((folder / "run" / "run.json").read_text())
    assert description["environment_recipe"] == {
        "make": "windy_module:Windy",
        "arguments": {"wind": 0.5, "max_episode_steps": 6},
    }
    start("train_ppo", "--resume", "--run_dir=run")
    np.testing.assert_array_equal(agents.load_result("run").returns, result.returns)
    models.save(result.actor(1), "actor.keras")
    told = start("evaluate", "--model=actor.keras", "--episodes=10", *WINDY)
    assert "on Windy: 10 episodes" in told


@pytest.mark.thorough
def test_a_run_is_published_in_a_zoo_of_ones_own_and_used_from_it(folder):
    """Its card claims only what is true there, and there are no pictures."""
    start("train_ppo", *WINDY, *QUICK)
    zoo_dir = "--zoo_dir=my_zoo"
    told = start(
        "publish", "--run_dir=run", "--name=windy-ppo", "--success=1", "--episodes=20", zoo_dir
    )
    assert "zoo.load('windy-ppo', 'my_zoo')" in told
    card = zoo.card("windy-ppo", "my_zoo")
    recipe = {"make": "windy_module:Windy", "arguments": {"wind": 0.5, "max_episode_steps": 6}}
    assert card["environment"]["recipe"] == recipe
    assert card["environment"]["gymnasium_id"] is None
    assert card["licence"] == "not stated"
    assert sorted(card["files"]) == [
        *("actor.keras", "critic.keras", "golden.npz", "learning_curve.png")
    ]
    command = card["training"]["command"].split()
    assert {*WINDY, "--num_seeds=2", "--hidden_units=4"} <= set(command)
    assert zoo_dir in card["training"]["publish_command"].split()
    page = (folder / "my_zoo" / "windy-ppo" / "README.md").read_text()
    assert 'zoo.load("windy-ppo", "path/of/this/zoo")' in page and "gymnasium" not in page
    assert "## Licence\n\nnot stated\n" in page
    # The commands of the card are true.
    start("train_ppo", *[x.replace("runs/windy-ppo", "again") for x in command[3:]])
    forget()
    one, other = agents.load_result("run"), agents.load_result("again")
    np.testing.assert_array_equal(one.returns, other.returns)
    # And used as any model of the zoo; the card says in which environment.
    told = start("evaluate", "--model=windy-ppo", zoo_dir, "--episodes=10")
    assert "on Windy: 10 episodes" in told and "success (≥ 1)" in told
    start("export", "--model=windy-ppo", zoo_dir, "--output=plain.keras")
    assert "1 models are as their cards say" in start("zoo_models", "--verify", zoo_dir)
    start("zoo_models", "--write_table", zoo_dir)


MIRRORED = """
from tf_equirl import envs

NAMES = ["x", "speed", "angle", "turning"]
MIRROR = envs.reflection(NAMES, ["left", "right"], flips=NAMES, swaps={"left": "right"})

def mirrored():
    return envs.make("CartPole-v1", symmetry=MIRROR)
"""


@pytest.mark.thorough
def test_a_function_that_gives_an_environment_its_symmetry_is_trained_and_published(folder):
    (folder / "windy_module.py").write_text(MIRRORED)
    start("train_ppo", "--env=windy_module:mirrored", *QUICK)
    forget()
    assert agents.load_result("run").config.actor == "gcnn"
    start(
        *("publish", "--run_dir=run", "--name=mirrored", "--success=1", "--episodes=4"),
        "--zoo_dir=my_zoo",
    )
    card = zoo.card("mirrored", "my_zoo")
    assert card["environment"]["recipe"] == {"make": "windy_module:mirrored", "arguments": {}}
    assert "--env=windy_module:mirrored" in card["training"]["command"].split()
    told = start("evaluate", "--model=mirrored", "--zoo_dir=my_zoo", "--episodes=4")
    assert "on CartPole-v1: 4 episodes" in told


def test_what_a_card_cannot_name_is_not_published(folder):
    listed = "--env=windy_module:Windy", "--env_arg=wind=0.5"
    (folder / "windy_module.py").write_text(
        windy.SOURCE.replace("wind: float", "walls=(), wind: float")
    )
    start("train_ppo", *listed, "--env_arg=walls=[1,2]", *QUICK)
    forget()
    other = run_here("publish", "--run_dir=run", "--name=x", "--success=1", "--zoo_dir=my_zoo")
    assert "must have arguments that are each a word" in other.stderr
    assert not (folder / "my_zoo").exists()


def test_other_arguments_are_another_run():
    start("train_ppo", *WINDY, *QUICK)
    forget()
    other = run_here("train_ppo", "--resume", "--run_dir=run", "--env=windy_module:Windy")
    assert "{'wind': 0.5, 'max_episode_steps': 6} there" in other.stderr
    other = run_here("train_ppo", "--resume", "--run_dir=run", "--env_arg=wind=0.5")
    assert other.stderr == "error: --env_arg needs --env. Received: env_arg=['wind=0.5']\n"


def test_a_run_of_before_recipes_is_known_by_its_name(folder):
    start("train_ppo", "--env=Catch", "--actor=mlp", *QUICK)
    file = folder / "run" / "run.json"
    description = json.loads(file.read_text())
    del description["environment_recipe"]
    file.write_text(json.dumps(description))
    assert agents.load_result("run").environment == "Catch"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env=nothing:Windy"], "there is no module 'nothing'"),
        (["--env=windy_module:Wendy"], "its environments are: Windy"),
        (["--env_arg=3"], "env_arg must be name=value, each name once"),
        (["--env_arg=a=1", "--env_arg=a=2"], "env_arg must be name=value, each name once"),
        (["--env_arg=wind=0.5"], "`kwargs` must be arguments of CartPole"),
    ],
)
@pytest.mark.parametrize("name", ["train_ppo", "train_transition_model", "tune"])
def test_bad_flags_give_one_clear_line(name, arguments, message, folder):
    result = run_here(name, *arguments)
    assert result.stderr.startswith("error: ") and message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "runs").exists()
