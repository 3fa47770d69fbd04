"""The launcher that trains DrQ-v2, and the table of agents that see pictures, in this process."""

import csv
import json

import pytest
from in_process import run_here

from tf_equirl.agents import DrQv2Config, load_drqv2_result
from tf_equirl.reproductions import approximate
from tf_equirl.reproductions.approximate import pixels

pytestmark = pytest.mark.usefixtures("without_xla")

# What the G-CNN of the small table has: one program for both.
FLAGS = ["--env_arg=size=13", "--env_arg=action_repeat=4", "--networks=gcnn", "--filters=2"]
FLAGS += ["--kernel_sizes=3", "--strides=2", "--hidden_units=4", "--features=3", "--batch_size=4"]
FLAGS += ["--learning_starts=20", "--train_every=20", "--rollout_steps=20", "--buffer_size=100"]
FLAGS += ["--num_seeds=2"]


def test_it_trains_reports_and_resumes(tmp_path):
    folder = tmp_path / "run"
    done = run_here("train_drqv2", *FLAGS, "--total_timesteps=60", f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    run = json.loads((folder / "run.json").read_text())
    assert (run["trainer"], run["environment"]) == ("train_drqv2", "CartPoleSwingupPixels")
    assert DrQv2Config.from_json(run["config"]).hidden_units == (4,)
    assert load_drqv2_result(folder).returns.shape == (2, 60)
    again = run_here("train_drqv2", "--resume", f"--run_dir={folder}")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--networks=mlp"], "`networks` must be one of cnn, gcnn, relaxed, rpp"),
        (["--env_arg=policy=squashed_gaussian"], 'policy="gaussian"'),
        (["--env_arg=size=44"], "lie symmetrically in the width"),
    ],
)
def test_wrong_flags_are_told_in_one_line(flags, message, tmp_path):
    done = run_here("train_drqv2", *flags, f"--run_dir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.thorough
def test_the_reduced_table_is_written_and_goes_on(tmp_path, monkeypatch):
    base = DrQv2Config(
        **{"filters": (2,), "kernel_sizes": (3,), "strides": (2,), "features": 3},
        **{"hidden_units": (4,), "batch_size": 4, "learning_starts": 20, "train_every": 20},
        **{"rollout_steps": 20, "buffer_size": 100, "total_timesteps": 260},
    )
    # Two agents on one form of the task: each program takes ten seconds.
    monkeypatch.setattr(pixels, "AGENTS", {x: pixels.AGENTS[x] for x in ("cnn", "gcnn")})
    study = pixels.FromPixels(
        breakings=("none",), base=base, budget=None, size=13, rates=(3e-4,), search_timesteps=260
    )
    output = approximate.TABLES["approximate-pixels"]._replace(make=lambda: study)
    monkeypatch.setitem(approximate.TABLES, "approximate-pixels", output)
    flags = ["--table=approximate-pixels", "--num_seeds=2", f"--out_dir={tmp_path}"]
    first = run_here("reproduce", *flags)
    assert first.returncode == 0, first.stderr
    with (tmp_path / "table_approximate-pixels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["agent"] for r in rows] == ["cnn", "gcnn"]
    assert [r["breaking"] for r in rows] == 2 * ["none"]
    page = (tmp_path / "table_approximate-pixels.md").read_text()
    for words in ("reduced", "2 seeds", "held for 4 control steps", "other seeds in 260 steps"):
        assert words in page
    again = run_here("reproduce", *flags)
    assert again.returncode == 0, again.stderr
    found = study.run(tmp_path, 2)
    assert list(found.rates) == [3e-4]
    for result in found.trained["none"].values():
        assert result.config.learning_rate == 3e-4 and result.seeds == (0, 1)
    both = found._replace(trained={**found.trained, "gain": found.trained["none"]})
    rows = pixels.pixels_rows(both)
    assert [(r["breaking"], r["agent"]) for r in rows] == [
        (breaking, agent) for breaking in ("none", "gain") for agent in ("cnn", "gcnn")
    ]
    assert [r["minus_cnn"] for r in rows if r["agent"] == "cnn"] == [0, 0]


def test_relaxation_weights_of_the_study_learn_faster():
    study = pixels.FromPixels()
    configs = {agent: study.config(agent, 1e-3) for agent in pixels.AGENTS}
    rates = {agent: config.relaxation_rate for agent, config in configs.items()}
    assert rates == {"cnn": 1, "gcnn": 1, "relaxed": 10}
    assert {config.learning_rate for config in configs.values()} == {1e-3}
    assert configs["cnn"].match_parameters is None
    assert study.arguments("reflect") == {**study.arguments("none"), "breaking": "reflect"}
    assert len(study.rates) > 1 and not set(study.search_seeds) & set(range(study.num_seeds))
