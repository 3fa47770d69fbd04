"""The launcher of transition models."""

import re

import pytest
from in_process import run_here

from tf_equirl import envs
from tf_equirl._files import LOCK
from tf_equirl.dyna import collect_transitions, load_transition_result

pytestmark = pytest.mark.usefixtures("without_xla")

QUICK = ["--hidden_units=8", "--num_seeds=3", "--num_transitions=600", "--num_epochs=4"]
QUICK += ["--validation_transitions=200", "--rollout_steps=7", "--batch_size=64"]


def run(*arguments):
    return run_here("train_transition_model", *arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launcher") / "run"
    arguments = [*QUICK, "--kind=mlp", "--data=left", f"--run_dir={folder}"]
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return folder, result


def test_it_trains_and_reports(trained):
    folder, result = trained
    assert "CartPole, mlp on 600 transitions (left), 3 seeds" in result.stdout
    number = r"\d[\d.e+-]*"
    assert re.search(rf"mean square, validation set +│ +{number} ± {number} │", result.stdout)
    for steps in ("1 step", "5 steps", "7 steps"):
        assert f"mean square after {steps} " in result.stdout
    assert re.search(r"compiled in \d+\.\d s, trained in", result.stdout)
    assert (folder / "validation.png").stat().st_size > 10_000
    saved = load_transition_result(folder)
    assert (saved.config.kind, saved.config.hidden_units, saved.seeds) == ("mlp", (8,), (0, 1, 2))
    files = {path.name for path in folder.iterdir()} - {LOCK}
    assert files == {"run.json", "checkpoint.npz", "results.csv", "tensorboard", "validation.png"}


def test_a_user_sees_the_bar_alone(trained):
    _, result = trained
    lines = [line for line in re.split(r"[\r\n]+", result.stderr) if line]
    bar = re.compile(r"^CartPole mlp +\d+% \|.{12}\| \[.* left\](, (compiling|epoch [0-4]/4.*))?$")
    assert [line for line in lines if not bar.match(line.strip())] == []
    assert "epoch 4/4, loss 0." in lines[-1] and "validation mean square" in lines[-1]


def test_resuming_needs_only_the_folder(trained):
    folder, first = trained
    again = run("--resume", f"--run_dir={folder}", "--rollout_steps=7")
    assert again.returncode == 0, again.stderr
    table = re.compile(r"│.*│")
    assert table.findall(again.stdout) == table.findall(first.stdout)
    other = run("--resume", f"--run_dir={folder}", "--data_seed=3")
    assert "holds another run; it differs in data" in other.stderr


def test_it_learns_from_a_file_of_ones_own(tmp_path):
    env = envs.make("Catch")
    collect_transitions(env, "random", 300, seed=4).save(tmp_path / "mine.npz")
    arguments = [*QUICK, "--env=Catch", f"--data={tmp_path / 'mine.npz'}"]
    result = run(*arguments, "--rollout_steps=20", f"--run_dir={tmp_path / 'run'}")
    assert result.returncode == 0, result.stderr
    assert "Catch, gcnn-readout on 300 transitions (mine.npz), 3 seeds" in result.stdout
    assert "accuracy, validation set" in result.stdout
    # No game is longer than nine steps.
    assert "wrong predictions after 9 steps " in result.stdout
    assert "after 20 steps" not in result.stdout
    again = run("--resume", f"--run_dir={tmp_path / 'run'}")
    assert "data must be given" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind=gcnn"], "`kind` must be one of mlp, cnn, gcnn-proximal"),
        (["--data=left-only"], "data must be one of joint, left, random, expert, or a path"),
        (["--validation_seed=0"], "validation_seed must differ from data_seed"),
        (["--resume", "--run_dir=/nonexistent"], "must hold a run"),
        (["--env=Catch", "--predict_change", *QUICK], "`predict_change` must be False"),
    ],
)
def test_bad_flags_give_one_clear_line(arguments, message):
    result = run(*arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_help_documents_every_flag():
    result = run("--helpshort")
    assert result.returncode == 0
    assert "Learns transition models" in result.stdout
    for flag in ("--data", "--kind", "--num_transitions", "--rollout_steps", "--max_gradient_norm"):
        assert re.search(rf"^  {flag}: \S", result.stdout, re.MULTILINE)
    assert "kind of transition model" in result.stdout and "default: '0.0001'" in result.stdout
    assert not re.search(r"--\S+: *\n", result.stdout), "a flag without a text"
