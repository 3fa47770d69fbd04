"""The launcher of Dyna agents."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from in_process import launcher, run_here

from tf_equirl import experiments
from tf_equirl.agents import NonFiniteError
from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments import plots
from tf_equirl.training.run_folder import identity

pytestmark = pytest.mark.usefixtures("without_xla")

QUICK = ["--actor=odd", "--hidden_units=8", "--num_seeds=3", "--rollout_steps=32"]
QUICK += ["--total_timesteps=1280", "--dyna_iterations=2", "--model_kind=mlp", "--model_epochs=1"]
QUICK += ["--model_hidden_units=8"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that Ctrl-C stopped between its two cells, and its resumption from the folder."""
    folder = tmp_path_factory.mktemp("launcher") / "sweep"

    def stop_before_the_second(module):
        train = module.common.with_progress

        def once(*arguments, **options):
            module.common.with_progress = interrupt
            return train(*arguments, **options)

        module.common.with_progress = once

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    arguments = [*QUICK, "--planning_ratio=1,0", f"--run_dir={folder}"]
    stopped = run_here("train_dyna", *arguments, change=stop_before_the_second)
    results = {}

    def keep_results(module):
        train = module.common.with_progress

        def kept(trainer, env, config, seeds, run_dir, **options):
            results[run_dir.name] = train(trainer, env, config, seeds, run_dir, **options)
            return results[run_dir.name]

        module.common.with_progress = kept

    resumed = run_here("train_dyna", "--resume", f"--run_dir={folder}", change=keep_results)
    assert resumed.returncode == 0, resumed.stderr
    return folder, stopped, resumed, results


def test_ctrl_c_says_how_to_go_on_with_a_sweep(swept):
    folder, stopped, *_ = swept
    assert stopped.returncode == 130
    assert f"train_dyna --resume --run_dir={folder}" in stopped.stderr
    assert "planning_ratio=1: compiled" in stopped.stdout
    assert "whole run" not in stopped.stdout


def test_a_resumed_sweep_trains_only_what_is_missing(swept):
    folder, stopped, resumed, results = swept
    assert list(results) == ["planning_ratio=1", "planning_ratio=0"]
    # Finished cells compile nothing.
    compiled = dict(re.findall(r"^(\S+): compiled in (\S+) s", resumed.stdout, re.MULTILINE))
    assert float(compiled["planning_ratio=1"]) == 0 < float(compiled["planning_ratio=0"])
    assert re.search(r"^planning_ratio=1: compiled in [1-9]", stopped.stdout, re.MULTILINE)
    for name, result in results.items():
        found = json.loads((folder / name / "run.json").read_text())
        assert found["config"] == result.config.to_json()
        flat = result.config.flat()
        assert (flat["actor"], flat["model_hidden_units"]) == ("odd", (8,))
    assert [r.config.planning_ratio for r in results.values()] == [1, 0]
    assert [r.planned_updates.tolist() for r in results.values()] == [[[5, 5]] * 3, [[0, 0]] * 3]


def test_the_table_and_the_csv_hold_the_results_numbers(swept):
    folder, _, resumed, results = swept
    with (folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["planning_ratio"] for row in rows] == ["1", "0"]
    for row, result in zip(rows, results.values(), strict=True):
        assert row["seeds"] == "3" and "dyna_iterations" not in row
        end = result.returns[:, -126:].mean(axis=1)  # the last 500 steps of 4 environments
        for name, values in (
            ("return_at_1280", end),
            ("whole_run", np.nanmean(result.returns, axis=1)),
        ):
            mean, error = values.mean(), 2 * values.std(ddof=1) / np.sqrt(3)
            assert np.isclose(float(row[name]), mean, rtol=1e-5)
            assert np.isclose(float(row[f"{name}_error"]), error, rtol=1e-5)
            assert experiments.rounded(mean, error) in resumed.stdout
    assert "at 1,280" in resumed.stdout


def test_a_sweep_is_resumed_only_as_itself(swept):
    folder, *_ = swept
    again = [f"--run_dir={folder}"]
    other = run_here("train_dyna", "--resume", *again, "--learning_rate=0.1")
    assert "differs in learning_rate (0.00035 there, 0.1 here)" in other.stderr
    other = run_here("train_dyna", "--resume", *again, "--dyna_iterations=2,5")
    assert "differs in what varies" in other.stderr
    new = run_here("train_dyna", *QUICK, "--planning_ratio=1,0", *again)
    assert "must be a new or empty folder unless a sweep is resumed" in new.stderr
    assert experiments.Sweep.load(folder).values["learning_rate"] == [3.5e-4]


@pytest.mark.parametrize("text", ["{", "[]", '{"values": 3}', '{"values": {"ratio": [1]}}'])
def test_a_damaged_sweep_is_named(text, tmp_path):
    whole = {"environment": "CartPole", "values": {}, "seeds": [0]}
    text = json.dumps({**whole, **json.loads(text)}) if text.startswith('{"') else text
    (tmp_path / "sweep.json").write_text(text)
    result = run_here("train_dyna", "--resume", f"--run_dir={tmp_path}")
    assert result.stderr.startswith("error: sweep.json must describe a sweep. Received: ")


def test_a_sweep_in_which_nothing_varies_is_one_run(tmp_path):
    sweep = experiments.Sweep(DynaConfig, "CartPole", {"planning_ratio": [2.0]}, [0])
    sweep.claim(tmp_path / "sweep")
    asked = []
    sweep.train(tmp_path / "sweep", lambda _, *arguments, **__: asked.append(arguments[1:]))
    assert asked == [(DynaConfig(planning_ratio=2.0), [0], tmp_path / "sweep" / "run")]


def test_a_sweep_of_an_earlier_version_is_known(swept, tmp_path):
    """It was of Dyna, and named its environment and the frozen model only."""
    folder, *_ = swept
    written = json.loads((folder / "sweep.json").read_text())
    kept = {name: written[name] for name in ("environment", "values", "seeds")}
    (tmp_path / "sweep.json").write_text(json.dumps({**kept, "frozen_model": None}))
    old, new = experiments.Sweep.load(tmp_path), experiments.Sweep.load(folder)
    assert old._identity() == new._identity()


def test_a_cell_is_a_run_of_its_own(swept, monkeypatch):
    """It is resumed as one, and its curve has a mark for each planning."""
    folder, _, _, results = swept
    figures = []
    save = plots.save_png
    monkeypatch.setattr(plots, "save_png", lambda f, path: (figures.append(f), save(f, path)))
    for name, marks in (("planning_ratio=1", [640, 1280]), ("planning_ratio=0", [])):
        file = folder / name / "learning_curve.png"
        assert file.stat().st_size > 10_000
        file.unlink()
        again = run_here("train_dyna", "--resume", f"--run_dir={folder / name}")
        assert again.returncode == 0, again.stderr
        assert file.stat().st_size > 10_000
        for axes in figures[-1].axes:
            lines = [x for c in axes.collections for x in _vertical_lines(c)]
            assert lines == marks
        row = experiments.rounded(
            *experiments.mean_and_error(experiments.return_at(results[name], 1280))
        )
        assert row in again.stdout
        seconds = results[name].seconds
        assert f"act and update {seconds['act and update']:.1f} s" in again.stdout
        assert ("planned steps/s over 3 seeds" in again.stdout) == bool(marks)
    other = run_here("train_dyna", "--resume", f"--run_dir={folder / name}", "--planning_ratio=2")
    assert "differs in planning_ratio (0.0 there, 2.0 here)" in other.stderr


def _vertical_lines(collection):
    segments = collection.get_segments() if hasattr(collection, "get_segments") else []
    return [a[0] for a, b in segments if a[0] == b[0]]


def test_the_bar_tells_parts_steps_and_the_models_error(swept):
    _, stopped, resumed, _ = swept
    lines = [line.strip() for line in re.split(r"[\r\n]+", stopped.stderr) if line]
    form = re.compile(r"\[1/2\] planning_ratio=1 +\d+% \|.{12}\| \[.* left\](, .*)?")
    bars = [line for line in lines if form.fullmatch(line)]
    assert bars[0].startswith("[1/2] planning_ratio=1   0%") and "compiling" in bars[1]
    assert any(" act and update: 640 real + 0 planned steps" in line for line in bars)
    assert any(" fit: 640 real + 0 planned steps, mean return " in line for line in bars)
    last = r"100% .*plan: 1,280 real \+ 1,280 planned steps, \S+ steps/s, mean return \S+, model er"
    assert re.search(last, bars[-1])
    # The other cell plans nothing, and has no model.
    assert "[2/2] planning_ratio=0 100%" in resumed.stderr
    assert "model error" not in resumed.stderr and "[1/2]" not in resumed.stderr


def test_the_frozen_model_is_known_from_the_folder(swept, tmp_path):
    folder, *_ = swept
    description = json.loads((folder / "planning_ratio=1" / "run.json").read_text())
    description["frozen_model"] = "cartpole-transition-gcnn, weights 0123456789abcdef"
    description["identity"] = identity(description)
    (tmp_path / "run.json").write_text(json.dumps(description))
    asked = []

    def ask(module):
        def stop(*arguments, frozen_model, **_):
            asked.append((*arguments[2:], frozen_model))
            raise KeyboardInterrupt

        module.common.with_progress = stop

    again = run_here("train_dyna", "--resume", f"--run_dir={tmp_path}", change=ask)
    assert again.returncode == 130
    ((config, seeds, run_dir, frozen_model),) = asked
    assert config == DynaConfig.from_json(description["config"])
    assert (list(seeds), run_dir) == ([0, 1, 2], tmp_path)
    assert frozen_model == "cartpole-transition-gcnn"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"max_model_steps": [400], "augment": [False], "max_policy_change": [None]}),
        (
            ["--max_model_steps=none,50", "--max_policy_change=0.01,none"],
            {"max_model_steps": [None, 50], "max_policy_change": [0.01, None]},
        ),
        (
            ["--augment", "--nomodel_predict_change", "--planning_starts=buffer"],
            {"augment": [True], "model_predict_change": [False], "planning_starts": ["buffer"]},
        ),
        (["--augment=true,false"], {"augment": [True, False]}),
        (["--model_predict_change=none,true"], {"model_predict_change": [None, True]}),
        (
            ["--model_hidden_units=8,4", "--buffer_size=1024", "--actor_initializer=he_normal"],
            {
                "model_hidden_units": [(8, 4)],
                "buffer_size": [1024],
                "actor_initializer": ["he_normal"],
            },
        ),
    ],
)
def test_flags_become_the_fields(arguments, expected):
    with launcher("train_dyna") as module:
        module.flags.FLAGS(["train_dyna", *arguments])
        options = ("start_from", "start_seed", "frozen_model")
        sweep = module.sweep_flags.from_flags(DynaConfig, "train_dyna", options)
    assert {field: sweep.values[field] for field in expected} == expected
    others = {k: sweep.values[k][0] for k in sweep.values if k not in expected}
    assert DynaConfig.from_flat(**others) == DynaConfig()
    assert {*others, *expected} == set(DynaConfig().flat())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--planning_ratio=1,x"], "planning_ratio must list numbers, each once. Received: plan"),
        (["--dyna_iterations=5,none"], "dyna_iterations must list integers, each once"),
        (["--augment=maybe"], "augment must list true or false, each once"),
        (["--max_model_error=0.1,0.1"], "max_model_error must list numbers or none, each once"),
        (["--planning_ratio=4,-1"], "`planning_ratio` must be a number of at least 0"),
        (["--dyna_iterations=5,2000"], "`dyna_iterations` must be at most the run's 976 updates"),
        (["--model_hidden_units=a"], "model_hidden_units must list integers"),
        (["--frozen_model=nobody"], "nobody"),
        (["--frozen_model=nobody", "--planning_ratio=1,2"], "nobody"),
        (
            ["--frozen_model=cartpole-transition-mlp", "--model_kind=mlp,gcnn-readout"],
            "model_kind must have one value with a frozen model",
        ),
        (
            ["--frozen_model=cartpole-transition-mlp", "--ensemble_size=1,2"],
            "ensemble_size must have one value with a frozen model",
        ),
        (
            ["--env=Catch", "--model_predict_change=none,true"],
            "`predict_change` must be False",
        ),
        (
            ["--frozen_model=catch-transition-mlp", "--planning_ratio=1,2"],
            "frozen_model must be a model of CartPole",
        ),
        (["--num_seeds=0"], "num_seeds must be at least 1"),
        (["--resume"], "--resume needs --run_dir"),
        (["--resume", "--run_dir=/nonexistent"], "must hold a run"),
    ],
)
def test_bad_flags_give_one_clear_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_here("train_dyna", *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not list(Path().iterdir()), "something was written"


def test_help_documents_every_field():
    result = run_here("train_dyna", "--helpshort")
    assert result.returncode == 0
    assert "Trains Dyna agents" in result.stdout
    for flag in ("--planning_ratio", "--[no]augment", "--learning_rate", "--frozen_model"):
        assert flag in result.stdout
    assert "updates in the model by update" in result.stdout
    assert "step size of Adam" in result.stdout and "default: '0.00035'" in result.stdout
    assert not re.search(r"--\S+: *\n", result.stdout), "a flag without a text"


def test_a_cell_that_diverges_does_not_keep_the_others_from_being_trained(swept, tmp_path):
    *_, results = swept

    def change(module):
        def fake(trainer, env, config, seeds, run_dir, **options):
            if config.planning_ratio == 1:
                raise NonFiniteError("seed 2 became non-finite", (2,), 0, None)
            run_dir.mkdir()
            return dataclasses.replace(results["planning_ratio=0"], config=config, run_dir=run_dir)

        module.common.with_progress = fake

    arguments = [*QUICK, "--planning_ratio=1,0,2", f"--run_dir={tmp_path}"]
    ended = run_here("train_dyna", *arguments, change=change)
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: 1 of 3 runs failed. planning_ratio=1: seed 2 became non-finite\n"
    )
    with (tmp_path / "sweep.csv").open() as file:
        assert [row["planning_ratio"] for row in csv.DictReader(file)] == ["0", "2"]
