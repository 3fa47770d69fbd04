"""Lists of values in the flags of `train_ppo`."""

import csv
import json

import numpy as np
import pytest
from in_process import run_here

from tf_equirl import agents, experiments
from tf_equirl.agents import PPOConfig

pytestmark = pytest.mark.usefixtures("without_xla")

QUICK = ["--env=Catch", "--hidden_units=4", "--num_seeds=2", "--rollout_steps=16"]
QUICK += ["--num_environments=2", "--total_timesteps=64"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "sweep"
    # Of one program, as those that differ in their networks have one each.
    lists = ["--actor=mlp", "--gae_lambda=0.9,0.95", "--learning_rate=1e-3,1e-2"]
    lists += ["--anneal_learning_rate=true"]
    done = run_here("train_ppo", *QUICK, *lists, f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_there_is_a_run_for_every_combination(swept):
    folder, done = swept
    rows = list(csv.DictReader((folder / "sweep.csv").open()))
    found = [(row["learning_rate"], row["gae_lambda"]) for row in rows]
    # Outermost what the config has first.
    assert found == [("0.001", "0.9"), ("0.001", "0.95"), ("0.01", "0.9"), ("0.01", "0.95")]
    for (rate, decay), row in zip(found, rows, strict=True):
        result = agents.load_result(folder / f"learning_rate={rate},gae_lambda={decay}")
        assert (result.config.gae_lambda, result.config.learning_rate) == (
            float(decay),
            float(rate),
        )
        assert result.config.anneal_learning_rate
        area = experiments.area_under_curve(result).mean()
        np.testing.assert_allclose(float(row["whole_run"]), area, rtol=1e-5)
    assert "whole run" in done.stdout


def test_it_is_resumed_with_further_values_and_trains_only_those(swept):
    folder, _ = swept
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*/checkpoint.npz")}
    rates = "--learning_rate=1e-3,1e-2,1e-1"
    again = run_here("train_ppo", "--resume", f"--run_dir={folder}", rates)
    assert again.returncode == 0, again.stderr
    after = {file: file.stat().st_mtime_ns for file in folder.glob("*/checkpoint.npz")}
    assert len(before) == 4 and len(after) == 6
    assert {file: after[file] for file in before} == before
    sweep = experiments.Sweep.load(folder)
    assert (sweep.config_class, sweep.environment.name) == (PPOConfig, "Catch")
    other = run_here("train_ppo", "--resume", f"--run_dir={folder}", "--discount=0.5")
    assert "differs in discount (0.99 there, 0.5 here)" in other.stderr
    other = run_here("train_dyna", "--resume", f"--run_dir={folder}")
    assert "must hold a sweep of DynaConfig" in other.stderr


def test_every_cell_starts_where_it_is_said(swept, tmp_path):
    folder, _ = swept
    start = folder / "learning_rate=0.01,gae_lambda=0.9"
    lists = ["--actor=mlp", "--learning_rate=1e-3,1e-2", f"--start_from={start}", "--start_seed=1"]
    done = run_here("train_ppo", *QUICK, *lists, f"--run_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    for cell in tmp_path.glob("learning_rate=*"):
        place = json.loads((cell / "run.json").read_text())["start_place"]
        assert place == {"from": str(start), "seed": 1}
    again = run_here("train_ppo", "--resume", f"--run_dir={tmp_path}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning_rate=1e-3,x"], "learning_rate must list numbers, each once"),
        (["--actor=mlp,mlp"], "actor must list texts, each once"),
        (["--actor=mlp,wood"], "`actor` must be one of"),
        (["--total_timesteps=64,128", "--table_timesteps=128"], "lie in the run, 0 to 64"),
        (["--learning_rate=1e-3,1e-2", "--start_from=nobody"], "nobody"),
    ],
)
def test_bad_lists_give_one_clear_line(arguments, message, tmp_path):
    result = run_here("train_ppo", *QUICK, *arguments, f"--run_dir={tmp_path}")
    assert result.stderr.startswith("error: ") and message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
