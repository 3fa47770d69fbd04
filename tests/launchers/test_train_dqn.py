"""The launcher that trains DQN, in this process."""

import json
import re

import pytest
from in_process import run_here

from tf_equirl.agents import DQNConfig, load_dqn_result

pytestmark = pytest.mark.usefixtures("without_xla")

FLAGS = ["--hidden_units=8", "--q_function=mlp", "--rollout_steps=32", "--batch_size=8"]
FLAGS += ["--learning_starts=64", "--epsilon_steps=100", "--num_seeds=3", "--train_every=16"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launcher") / "run"
    flags = ["--total_timesteps=640", "--max_gradient_norm=none", f"--run_dir={folder}"]
    result = run_here("train_dqn", *FLAGS, *flags, "--evaluate_every=5", "--evaluation_episodes=2")
    assert result.returncode == 0, result.stderr
    return folder, result


def test_it_trains_and_reports(trained):
    folder, result = trained
    assert "mean return ± two standard errors over 3 seeds" in result.stdout
    assert re.search(r"640 │ +\d+(\.\d+)? ± \d+(\.\d+)?", result.stdout)
    assert re.search(r"compiled in \d+\.\d s, trained in", result.stdout)
    assert (folder / "learning_curve.png").stat().st_size > 10_000
    run = json.loads((folder / "run.json").read_text())
    assert (run["trainer"], run["seeds"]) == ("train_dqn", [0, 1, 2])
    config = DQNConfig.from_json(run["config"])
    assert (config.max_gradient_norm, config.hidden_units, config.train_every) == (None, (8,), 16)
    assert load_dqn_result(folder).evaluations.returns.shape == (3, 1)


def test_resuming_needs_only_the_folder(trained):
    folder, first = trained
    again = run_here("train_dqn", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr
    table = re.compile(r"│.*│")
    assert table.findall(again.stdout) == table.findall(first.stdout)


def test_a_preset_and_flags_that_change_it(tmp_path):
    flags = ["--preset=snake-published", "--total_timesteps=128", "--epsilon_steps=50"]
    small = ["--q_function=mlp", "--hidden_units=4", "--num_seeds=1", "--buffer_size=512"]
    result = run_here("train_dqn", *flags, *small, f"--run_dir={tmp_path / 'run'}")
    assert result.returncode == 0, result.stderr
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert (config["learning_rate"], config["loss"], config["num_environments"]) == (
        1e-5,
        "squared",
        1,
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epsilon_steps=0"], "`epsilon_steps` must be a positive integer"),
        (["--train_every=3"], "`train_every` must be a multiple of num_environments"),
        (["--q_function=odd"], "`q_function` must be one of"),
        (["--preset=none"], "`name` must be one of cartpole, "),
    ],
)
def test_wrong_flags_are_told_in_one_line(flags, message, tmp_path):
    result = run_here("train_dqn", *flags, f"--run_dir={tmp_path / 'run'}")
    assert result.returncode == 1
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_list_of_values_is_a_sweep(tmp_path):
    folder = tmp_path / "sweep"
    flags = ["--learning_rate=1e-3,3e-3", "--total_timesteps=256", f"--run_dir={folder}"]
    result = run_here("train_dqn", *FLAGS, *flags)
    assert result.returncode == 0, result.stderr
    assert {p.name for p in folder.glob("learning_rate=*")} == {
        "learning_rate=0.001",
        "learning_rate=0.003",
    }
    assert len((folder / "sweep.csv").read_text().splitlines()) == 3
    again = run_here("train_dqn", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr


def test_it_is_tuned(tmp_path):
    flags = ["--agent=dqn", "--search=learning_rate,epsilon_end", "--trials=2"]
    flags += ["--total_timesteps=256", f"--run_dir={tmp_path / 'search'}"]
    result = run_here("tune", *flags, *FLAGS)
    assert result.returncode == 0, result.stderr
    best = DQNConfig.from_json(json.loads((tmp_path / "search" / "best.json").read_text()))
    assert best.q_function == "mlp" and "for --config of train_dqn" in result.stdout
    wrong = run_here("tune", "--agent=dqn", "--clip_ratio=0.3", f"--run_dir={tmp_path / 'no'}")
    assert "--clip_ratio is a hyperparameter of PPO, for --agent=ppo" in wrong.stderr
    wrong = run_here("tune", "--train_every=8", f"--run_dir={tmp_path / 'no'}")
    assert "--train_every is a hyperparameter of DQN, for --agent=dqn" in wrong.stderr
    again = run_here("tune", "--resume", f"--run_dir={tmp_path / 'search'}")
    assert again.returncode == 0, again.stderr
