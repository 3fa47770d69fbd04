"""The launchers that train; in processes of their own where that makes a difference."""

import json
import re
import signal
import subprocess
import sys
import time

import keras
import pytest
from in_process import launcher, run_here
from processes import ROOT, run_python, user_environment

from tf_equirl import models

pytestmark = pytest.mark.usefixtures("without_xla")

# The networks of the demo's G-CNN, whatever widths they are matched from: one program for both.
FLAGS = ["--actor=gcnn", "--hidden_units=32,32", "--num_seeds=4"]
FLAGS += ["--match_parameters=4610", "--match_critic_parameters=4545"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launcher") / "run"
    result = run_here("train_ppo", *FLAGS, "--total_timesteps=2560", f"--run_dir={folder}")
    assert result.returncode == 0, result.stderr
    return folder, result


def test_it_trains_and_reports(trained):
    folder, result = trained
    assert "mean return ± two standard errors over 4 seeds" in result.stdout
    assert re.search(r"2,560 │ +\d+(\.\d+)? ± \d+(\.\d+)?", result.stdout)
    assert re.search(r"compiled in \d+\.\d s, trained in", result.stdout)
    assert "100%" in result.stderr and "steps/s" in result.stderr and "left" in result.stderr
    assert (folder / "learning_curve.png").stat().st_size > 10_000
    run = json.loads((folder / "run.json").read_text())
    config = run["config"]
    assert (config["actor"], config["hidden_units"], run["seeds"]) == (
        "gcnn",
        [32, 32],
        [0, 1, 2, 3],
    )
    assert (config["match_parameters"], config["total_timesteps"]) == (4610, 2560)


def test_resuming_needs_only_the_folder(trained):
    folder, first = trained
    again = run_here("train_ppo", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr
    table = re.compile(r"│.*│")
    assert table.findall(again.stdout) == table.findall(first.stdout)


def test_it_evaluates_and_stops_at_a_level(tmp_path):
    folder = tmp_path / "run"
    flags = ["--evaluate_every=2", "--evaluation_episodes=3", "--stop_at=1"]
    result = run_here("train_ppo", *FLAGS, "--total_timesteps=2560", f"--run_dir={folder}", *flags)
    assert result.returncode == 0, result.stderr
    assert "stopped at timestep 1,024; --resume without --stop_at goes on" in result.stdout
    assert re.search(r"1,024 │ +\d", result.stdout) and "2,560" not in result.stdout
    assert len((folder / "evaluations.csv").read_text().splitlines()) == 1 + 4
    again = run_here("train_ppo", "--resume", f"--run_dir={folder}", *flags[:2])
    assert again.returncode == 0, again.stderr
    assert "stopped" not in again.stdout and "2,560" in again.stdout
    assert len((folder / "evaluations.csv").read_text().splitlines()) == 1 + 8


@pytest.mark.thorough
def test_flags_describe_convolutions_and_the_papers_a2c(tmp_path):
    flags = ["--env=GridWorld", "--critic=invariant", "--hidden_units=4", "--num_seeds=1"]
    flags += ["--filters=2,3", "--kernel_sizes=3,7", "--strides=3,1", "--padding=valid"]
    flags += ["--pooling=max", "--picture_scale=0.5", "--nonormalize_advantages"]
    flags += ["--num_epochs=1", "--num_minibatches=1", "--rollout_steps=5", "--clip_value=0"]
    folder = tmp_path / "run"
    result = run_here("train_ppo", *flags, "--total_timesteps=60", f"--run_dir={folder}")
    assert result.returncode == 0, result.stderr
    run = json.loads((folder / "run.json").read_text())
    expected = {
        **{"filters": [2, 3], "kernel_sizes": [3, 7], "strides": [3, 1], "padding": "valid"},
        **{"pooling": "max", "picture_scale": 0.5, "normalize_advantages": False},
    }
    assert {name: run["config"][name] for name in expected} == expected
    actor = keras.models.model_from_json(json.dumps(run["models"]["actor"]))
    assert [x.filters for x in actor.layers if hasattr(x, "filters")] == [2, 3]
    again = run_here("train_ppo", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run as a user starts it, stopped as a scheduler does: its folder and what it wrote."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    log = folder.parent / "errors"
    small = ["--actor=odd", "--hidden_units=8", "--num_seeds=4", "--rollout_steps=32"]
    with log.open("w") as errors_file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "launchers.train_ppo", *small),
                *(f"--run_dir={folder}", "--total_timesteps=1000000000"),
            ],
            cwd=ROOT,
            env=user_environment(),
            stdout=subprocess.DEVNULL,
            stderr=errors_file,
        )
        try:
            deadline = time.monotonic() + 200
            while time.monotonic() < deadline and "mean return" not in log.read_text():
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        finally:
            process.kill()
    return folder, process.returncode, log.read_text()


@pytest.mark.thorough
def test_sigterm_saves_a_checkpoint_and_says_how_to_go_on(interrupted):
    folder, status, errors = interrupted
    assert status == 128 + signal.SIGTERM, errors
    assert f"python -m launchers.train_ppo --resume --run_dir={folder}" in errors
    assert "Traceback" not in errors
    assert (folder / "checkpoint.npz").exists() and (folder / "results.csv").exists()
    config = json.loads((folder / "run.json").read_text())["config"]
    assert (config["actor"], config["hidden_units"], config["rollout_steps"]) == ("odd", [8], 32)


@pytest.mark.thorough
def test_a_user_sees_no_chatter_of_the_libraries(interrupted):
    *_, errors = interrupted
    before, _, _ = errors.partition("\nInterrupted. ")
    bar = re.compile(r"^CartPole odd +\d+% \|.{12}\| \[.* left\](, .*)?$")
    strange = [
        line for line in re.split(r"[\r\n]+", before) if line and not bar.match(line.strip())
    ]
    assert strange == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning_rate=-1"], "`learning_rate` must be a positive number"),
        (["--hidden_units=a,b"], "hidden_units must list integers"),
        (["--filters=a,b"], "filters must list integers"),
        (["--filters=2", "--strides=1,2"], "`strides` must be one for each of 1 filters"),
        (["--kernel_sizes=3"], "`kernel_sizes` must be None where `filters` is not given"),
        (["--filters=2"], "need a symmetry whose state is an image_representation"),
        (["--env=GridWorld", "--filters=2", "--kernel_sizes=4"], "Kernel sizes that fit: "),
        (["--env=CartPool"], "CartPole"),
        (["--table_timesteps=900000"], "table_timesteps must lie in the run"),
        (["--resume", "--run_dir=/nonexistent"], "must hold a run"),
    ],
)
def test_bad_flags_give_one_clear_line(arguments, message):
    result = run_here("train_ppo", *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_help_documents_every_field():
    result = run_here("train_ppo", "--helpshort")
    assert result.returncode == 0 and result.stderr == ""
    assert "Trains PPO agents" in result.stdout
    for flag in ("--learning_rate", "--[no]anneal_learning_rate", "--hidden_units", "--num_seeds"):
        assert flag in result.stdout
    assert "step size of Adam" in result.stdout and "default: '0.00035'" in result.stdout
    assert "parameter budget of the actor" in result.stdout
    assert not re.search(r"--\S+: *\n", result.stdout), "a flag without a text"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("train_ppo", {"actor": models.ACTOR_KINDS, "critic": models.CRITIC_KINDS}),
        ("train_dyna", {"actor": models.ACTOR_KINDS, "critic": models.CRITIC_KINDS}),
        ("train_dyna", {"model_kind": (*models.TRANSITION_KINDS, "environment")}),
        ("train_dqn", {"q_function": models.Q_FUNCTION_KINDS}),
        ("train_sac", {"q_function": models.CONTINUOUS_Q_FUNCTION_KINDS}),
        ("train_transition_model", {"kind": models.TRANSITION_KINDS}),
    ],
)
def test_the_help_of_a_kind_lists_every_kind(name, kinds):
    with launcher(name) as module:
        texts = {flag: module.flags.FLAGS[flag].help for flag in kinds}
    for flag, known in kinds.items():
        assert all(kind in re.split("[ ,;.]+", texts[flag]) for kind in known)


NO_CONFIG = (
    "demo",
    "discover_symmetries",
    "evaluate",
    "export",
    "play",
    "publish",
    "reproduce",
    "zoo_models",
)


@pytest.mark.parametrize("name", NO_CONFIG)
def test_flags_that_no_config_makes_need_no_heavy_imports(name):
    """So that help and wrong flags are there at once."""
    code = (
        f"import sys; from launchers import {name}\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'scipy', 'tf_equirl'}\n"
        "sys.exit(f'{heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--helpshort"], ["--num_seeds=3", "--help"]])
def test_help_is_no_failure_and_a_wrong_flag_is_one(arguments):
    result = run_python("-m", "launchers.demo", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "--num_seeds: agents of each kind" in result.stdout
    result = run_python("-m", "launchers.demo", *arguments[:-1], "--num_seed=3")
    assert result.returncode == 1 and "Unknown command line flag 'num_seed'" in result.stderr


def test_the_demo_compares_both_agents(trained, tmp_path):
    arguments = ["--num_seeds=4", "--total_timesteps=2048", f"--run_dir={tmp_path}"]
    result = run_here("demo", *arguments)
    assert result.returncode == 0, result.stderr
    assert re.search(r"G-CNN minus MLP at 2,048 steps, same seeds: [+-]\d", result.stdout)
    assert (tmp_path / "learning_curves.png").stat().st_size > 10_000
