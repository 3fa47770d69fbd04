"""The launcher that trains SAC, in this process."""

import json
import re

import pytest
from in_process import run_here

from tf_equirl.agents import SACConfig, load_sac_result

pytestmark = pytest.mark.usefixtures("without_xla")

FLAGS = ["--hidden_units=8", "--actor=mlp", "--q_function=mlp", "--rollout_steps=100"]
FLAGS += ["--batch_size=8", "--learning_starts=64", "--num_seeds=2", "--train_every=20"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launcher") / "run"
    result = run_here("train_sac", *FLAGS, "--total_timesteps=400", f"--run_dir={folder}")
    assert result.returncode == 0, result.stderr
    return folder, result


def test_it_trains_and_reports(trained):
    folder, result = trained
    assert "mean return ± two standard errors over 2 seeds" in result.stdout
    assert re.search(r"compiled in \d+\.\d s, trained in", result.stdout)
    assert (folder / "learning_curve.png").stat().st_size > 10_000
    run = json.loads((folder / "run.json").read_text())
    assert (run["trainer"], run["seeds"]) == ("train_sac", [0, 1])
    assert SACConfig.from_json(run["config"]).hidden_units == (8,)
    assert load_sac_result(folder).returns.shape == (2, 400)


def test_resuming_needs_only_the_folder(trained):
    folder, first = trained
    again = run_here("train_sac", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr
    table = re.compile(r"│.*│")
    assert table.findall(again.stdout) == table.findall(first.stdout)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tau=2"], "`tau` must be a number above 0"),
        (["--q_function=symmetrizer"], "`q_function` must be one of mlp, cnn, gcnn"),
        (["--env_arg=policy=gaussian"], "`env` must have a policy that is squashed"),
        (["--env=CartPole", "--env_arg=theta_threshold=1"], "CartPole"),
        (["--env=CartPole-v1"], "`env` must have continuous actions"),
    ],
)
def test_wrong_flags_are_told_in_one_line(flags, message, tmp_path):
    result = run_here("train_sac", *flags, f"--run_dir={tmp_path / 'run'}")
    assert result.returncode == 1
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_list_of_values_is_a_sweep(tmp_path):
    folder = tmp_path / "sweep"
    flags = ["--tau=0.01,0.1", "--total_timesteps=200", f"--run_dir={folder}"]
    result = run_here("train_sac", *FLAGS, *flags)
    assert result.returncode == 0, result.stderr
    assert {p.name for p in folder.glob("tau=*")} == {"tau=0.01", "tau=0.1"}
    again = run_here("train_sac", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr


def test_it_is_tuned(tmp_path):
    flags = ["--agent=sac", "--search=learning_rate,tau", "--trials=2", "--total_timesteps=200"]
    flags += ["--env=Pendulum-v1", "--env_arg=policy=squashed_gaussian"]
    result = run_here("tune", *flags, *FLAGS, f"--run_dir={tmp_path / 'search'}")
    assert result.returncode == 0, result.stderr
    best = SACConfig.from_json(json.loads((tmp_path / "search" / "best.json").read_text()))
    assert best.q_function == "mlp" and "for --config of train_sac" in result.stdout
