"""The launcher of searches, and what the others make of what it found."""

import csv
import json

import pytest
from in_process import run_here

from tf_equirl.agents import DrQv2Config, PPOConfig
from tf_equirl.dyna import DynaConfig

pytestmark = pytest.mark.usefixtures("without_xla")

AGENT = ["--actor=mlp", "--hidden_units=8", "--rollout_steps=16", "--total_timesteps=256"]
QUICK = [*AGENT, "--trials=4", "--num_seeds=2"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that Ctrl-C stopped, and its resumption from the folder."""
    folder = tmp_path_factory.mktemp("launcher") / "search"

    def stop(module):
        module.common.with_progress = interrupt

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    arguments = [*QUICK, "--search=learning_rate:1e-3..1e-1,gae_lambda:0.5|0.9", "--random_seed=3"]
    stopped = run_here("tune", *arguments, f"--run_dir={folder}", change=stop)
    resumed = run_here("tune", "--resume", f"--run_dir={folder}")
    assert resumed.returncode == 0, resumed.stderr
    return folder, stopped, resumed


def test_ctrl_c_says_how_to_go_on(searched):
    folder, stopped, _ = searched
    assert stopped.returncode == 130
    assert f"tune --resume --run_dir={folder}" in stopped.stderr


def test_what_is_found_is_told_and_written(searched):
    folder, _, resumed = searched
    assert "4 trials" in resumed.stdout and "gae lambda" in resumed.stdout
    assert "that learning_rate alone explains: too few trials to tell" in resumed.stdout
    assert "2,048 environment steps, 512 gradient steps" in resumed.stdout
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert {float(row["gae_lambda"]) for row in rows} <= {0.5, 0.9}
    best = max(rows, key=lambda row: float(row["score"]))
    config = PPOConfig.from_json(json.loads((folder / "best.json").read_text()))
    assert config.learning_rate == float(best["learning_rate"]) >= 1e-3
    assert (config.hidden_units, config.total_timesteps) == ((8,), 256)
    assert (folder / "search.png").stat().st_size > 1000
    assert json.loads((folder / "search.json").read_text())["seeds"] == [1000, 1001]


def test_the_best_config_is_trained_and_flags_change_it(searched, tmp_path):
    folder, *_ = searched
    best = f"--config={folder / 'best.json'}"
    trained = run_here("train_ppo", best, "--num_seeds=2", f"--run_dir={tmp_path / 'run'}")
    assert trained.returncode == 0, trained.stderr
    written = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert written == json.loads((folder / "best.json").read_text())
    again = run_here(
        *("train_ppo", f"--config={tmp_path / 'run' / 'run.json'}", "--num_seeds=2"),
        *("--learning_rate=0.125", f"--run_dir={tmp_path / 'again'}"),
    )
    assert again.returncode == 0, again.stderr
    changed = json.loads((tmp_path / "again" / "run.json").read_text())["config"]
    assert changed == {**written, "learning_rate": 0.125}


def test_a_preset_is_trained(tmp_path):
    run = run_here(
        *("train_ppo", "--preset=thesis", *AGENT, "--num_seeds=2", f"--run_dir={tmp_path / 'run'}")
    )
    assert run.returncode == 0, run.stderr
    written = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert written["learning_rate"] == 3.5e-4 and written["total_timesteps"] == 256


@pytest.mark.thorough
def test_dyna_is_tuned_and_its_best_config_is_trained(tmp_path):
    folder = tmp_path / "search"
    planning = ["--dyna_iterations=2", "--model_hidden_units=8", "--max_model_steps=2"]
    found = run_here(
        *("tune", "--agent=dyna", *QUICK, *planning, "--env=CartPole"),
        *("--search=learning_rate,model_learning_rate", f"--run_dir={folder}"),
    )
    assert found.returncode == 0, found.stderr
    config = DynaConfig.from_json(json.loads((folder / "best.json").read_text()))
    assert config.dyna_iterations == 2 and config.model.learning_rate != 1e-3
    run = run_here(
        *("train_dyna", f"--config={folder / 'best.json'}", "--num_seeds=2"),
        *("--planning_ratio=0", f"--run_dir={tmp_path / 'run'}"),  # which needs one program
    )
    assert run.returncode == 0, run.stderr
    written = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert written == {**config.to_json(), "planning_ratio": 0.0}


@pytest.mark.thorough
def test_drqv2_is_tuned_on_pictures_and_goes_on_from_the_folder(tmp_path):
    folder = tmp_path / "search"
    pictures = [f"--env_arg={x}" for x in ("size=13", "frames=1", "max_episode_steps=15")]
    small = ["--filters=2", "--kernel_sizes=3", "--strides=2", "--hidden_units=4", "--features=3"]
    small += ["--batch_size=4", "--learning_starts=20", "--train_every=20", "--rollout_steps=20"]
    small += ["--buffer_size=100", "--total_timesteps=40", "--trials=2", "--num_seeds=2"]
    found = run_here(
        *("tune", "--agent=drqv2", *pictures, *small),
        *("--search=tau,deviation_end:0.1|0.3", f"--run_dir={folder}"),
    )
    assert found.returncode == 0, found.stderr
    assert "CartPoleSwingupPixels" in found.stdout and "config of train_drqv2" in found.stdout
    config = DrQv2Config.from_json(json.loads((folder / "best.json").read_text()))
    assert config.tau in (0.005, 0.01, 0.02, 0.05) and config.deviation_end in (0.1, 0.3)
    assert (config.hidden_units, config.features) == ((4,), 3)
    again = run_here("tune", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search="], "space must name at least one hyperparameter"),
        (["--search=actor"], "search must name hyperparameters with a declared space"),
        (["--search=learning_rate:2..1"], "`high` must be larger than low=2.0"),
        (["--search=learning_rate:nan..1"], "`low` must be a finite number"),
        (["--learning_rate=nan"], "`learning_rate` must be a positive number"),
        (["--max_environment_steps=100"], "must be at least that of one trial, 512 over 2 seeds"),
        (["--planning_ratio=2"], "--planning_ratio is a hyperparameter of planning"),
        (["--features=3"], "--features is a hyperparameter of DrQ-v2, for --agent=drqv2"),
        (["--preset=best"], "`name` must be one of thesis"),
        (["--preset=thesis", "--config=a.json"], "give one of --config, --preset and --resume"),
        (["--config=a.json"], "config must be a JSON file"),
        (["--resume"], "--resume needs --run_dir"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, message, tmp_path):
    places = [] if "--resume" in arguments else [f"--run_dir={tmp_path / 'search'}"]
    run = run_here("tune", *QUICK, *places, *arguments)
    assert run.returncode == 1 and message in run.stderr
    assert not (tmp_path / "search").exists()


def test_a_folder_of_another_search_is_refused(searched):
    folder, *_ = searched
    other = run_here("tune", "--resume", f"--run_dir={folder}", "--trials=5")
    assert other.returncode == 1
    assert "which holds another one; it differs in trials" in other.stderr
