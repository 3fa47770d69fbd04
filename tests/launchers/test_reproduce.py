"""`launchers.reproduce`, its experiments made short."""

import csv
import dataclasses
import os
import sys

import matplotlib.image
import pytest
from in_process import launcher, run_here

from tf_equirl.agents import PPOConfig
from tf_equirl.reproductions import approximate, pictures, race, thesis
from tf_equirl.training import ProcessFullError

pytestmark = pytest.mark.usefixtures("without_xla")


def short(output, agents=("mlp",), steps=(320, 480, 640), **fields):
    """An output of an experiment with fewer agents and steps."""

    def make(*schedule):
        whole = output.make(*schedule)
        columns = tuple(
            dataclasses.replace(
                c, config=dataclasses.replace(c.config, total_timesteps=steps[-1], **fields)
            )
            for c in whole.columns
            if c.name in agents
        )
        return dataclasses.replace(whole, timesteps=steps, columns=columns)

    return output._replace(make=make)


@pytest.fixture(autouse=True)
def shortened(monkeypatch):
    for by_number in (thesis.TABLES, thesis.FIGURES):
        monkeypatch.setitem(by_number, "4.4", short(by_number["4.4"]))


def reproduce(*arguments):
    return run_here("reproduce", *arguments)


def test_the_flags_name_all_that_there_is():
    with launcher("reproduce") as module:
        tables = [*thesis.TABLES, *race.TABLES, *pictures.TABLES, *approximate.TABLES]
        assert sorted(module._TABLES) == sorted(tables)
        assert sorted(module._FIGURES) == sorted(thesis.FIGURES)
        schedules = module.flags.FLAGS["schedule"].parser.enum_values
    assert schedules == list(thesis.SCHEDULES)


def test_a_table_and_a_figure_come_from_the_same_runs(tmp_path):
    flags = ["--num_seeds=7", "--seeds_per_chunk=4", f"--out_dir={tmp_path}"]
    first = reproduce("--table=4.4", *flags)
    assert first.returncode == 0, first.stderr
    assert "catch-constant/mlp/seeds-4-6" in first.stderr
    with (tmp_path / "table_4.4.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["timestep"], r["agent"], r["thesis"]) for r in rows[:2]] == [
        ("320", "MLP", "-0.51"),
        ("480", "MLP", "0.7"),
    ]
    report = (tmp_path / "table_4.4.md").read_text()
    assert "-0.51 ± 0.07" in report and "Catch, PPO, constant learning rate, 7 seeds" in report
    runs = sorted(p.relative_to(tmp_path) for p in tmp_path.glob("*/*/*/run.json"))
    assert [run.parent.name for run in runs] == ["seeds-0-3", "seeds-4-6"]
    times = [(tmp_path / run).stat().st_mtime_ns for run in runs]

    second = reproduce("--table=4.4", "--figure=4.4", *flags)
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "table_4.4.md").read_text() == report
    assert [(tmp_path / run).stat().st_mtime_ns for run in runs] == times, "nothing was retrained"
    assert matplotlib.image.imread(tmp_path / "figure_4.4.png").shape[1] > 1000


SHORT_PICTURES = {
    "gridworld": {"agents": ("cnn", "gcnn"), "steps": (80, 160, 240)},
    "snake": {"agents": ("dqn-cnn", "dqn-gcnn"), "steps": (512, 1024, 1280)},
    "pong": {"agents": ("cnn", "gcnn"), "steps": (1024, 2048, 8192)},
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "table",
    [
        pytest.param("gridworld", marks=pytest.mark.slow),
        "snake",
        pytest.param("pong", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:.*schedule of epsilon")
def test_tables_of_networks_for_pictures(table, tmp_path, monkeypatch):
    by_name = pictures.TABLES
    monkeypatch.setitem(by_name, table, short(by_name[table], **SHORT_PICTURES[table]))
    if table == "pong":
        pytest.importorskip("ale_py", reason="needs the extra 'atari' (ale-py)")
    result = reproduce(f"--table={table}", "--num_seeds=2", f"--out_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / f"table_{table}.md").read_text()
    *_, errors = page.strip().split("\n\n")
    for row in errors.splitlines()[2:]:
        label, *values = (cell.strip() for cell in row.strip("|").split("|"))
        for value in values:
            assert (float(value) < 1e-5) == ("G-CNN" in label), row
    if table == "gridworld":
        (row,) = [r for r in page.splitlines() if r.startswith("| G-CNN") and "130,000" in r]
        exact = float(row.split("|")[2].split("±")[0])
        assert -10.1 < exact < 0.7315 and "> 240" in row  # 100 steps without a catch are -10
    elif table == "pong":
        assert "times fewer" in page
        assert "**Reduced**" in page and "G-CNN (mirror)" in page
    else:
        (row,) = [r for r in page.splitlines() if r.startswith("| DQN, CNN") and r.count("±") == 2]
        assert -1 <= float(row.split("|")[2].split("±")[0]) < 1 and "11,757" in page
    assert matplotlib.image.imread(tmp_path / f"table_{table}.png").shape[1] > 1000
    assert len(list(csv.DictReader((tmp_path / f"table_{table}.csv").open()))) > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--table or --figure must be given"),
        (["--table=4.3"], "value should be one of <4.2|4.4|transitions-cartpole|"),
        (["--table=4.4", "--num_seeds=0"], "`num_seeds` must be a positive integer"),
        (["--table=transitions-catch", "--num_seeds=0"], "`num_seeds` must be a positive integer"),
        (["--figure=4.6", "--schedule=constant"], "--schedule is for model-free PPO"),
        (["--table=4.5", "--schedule=constant"], "the experiments with planning have their own"),
        (["--table=transitions-catch", "--seeds_per_chunk=8"], "--seeds_per_chunk is for PPO"),
        (["--table=4.4", "--settings=best.json"], "--settings is for the race"),
        (["--table=race-catch", "--settings=none.json"], "settings must be a JSON file"),
        (["--figure=4.3", "--schedule=cosine"], "value should be one of <constant|annealed>"),
    ],
)
def test_bad_flags_give_one_clear_message(arguments, message, tmp_path):
    result = reproduce(*arguments, f"--out_dir={tmp_path / 'none'}")
    assert result.returncode != 0 and message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_cells_of_a_broken_symmetry_are_tuned_trained_and_judged(tmp_path, monkeypatch):
    cells = dataclasses.replace(
        approximate.TABLES["approximate-cartpole"].make(),
        strengths={"gain": (2.0,)},
        tuned_at={"gain": 2.0},
        base=PPOConfig(total_timesteps=2_048, hidden_units=(4, 4)),
        trials=2,
        search_seeds=(1000, 1001, 1002),
    )
    output = approximate.TABLES["approximate-cartpole"]._replace(make=lambda: cells)
    monkeypatch.setitem(approximate.TABLES, "approximate-cartpole", output)
    flags = ["--table=approximate-cartpole", "--num_seeds=3", f"--out_dir={tmp_path}"]
    first = reproduce(*flags)
    assert first.returncode == 0, first.stderr
    with (tmp_path / "table_approximate-cartpole.csv").open() as file:
        rows = list(csv.DictReader(file))
    agents = ["mlp", "orbit", "exact", "relaxed-1", "relaxed-n", "rpp"]
    assert [r["agent"] for r in rows] == 2 * agents
    assert [r["breaking"] for r in rows] == 6 * ["none"] + 6 * ["gain"]
    assert {r["recommended"] for r in rows[:6]} == {"exact"}
    assert {r["recommended"] for r in rows[6:]} == {"relaxed"}
    for row in rows:
        assert (float(row["spread"] or 0) > 0) == row["agent"].startswith("relaxed")
    page = (tmp_path / "table_approximate-cartpole.md").read_text()
    assert "of 2 cells" in page and "relaxation rate" in page and "prior scale" in page
    assert matplotlib.image.imread(tmp_path / "table_approximate-cartpole.png").shape[1] > 500
    again = reproduce(*flags)
    # But for the widths that are chosen in the first one.
    assert again.returncode == 0 and first.stdout.endswith(again.stdout)
    assert "PPO, 2,048 steps, 3 seeds" in again.stdout


def test_what_broken_catch_costs_is_computed(tmp_path):
    done = reproduce("--table=approximate-catch", f"--out_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "table_approximate-catch.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 and all(float(r["orbit_gap"]) > 0.1 for r in rows)
    for row in rows:
        assert float(row["orbit_gap"]) <= float(row["pointwise_bound"])
        assert float(row["pointwise_bound"]) <= float(row["bound_of_the_paper"])


@pytest.mark.thorough
def test_gaps_that_critics_estimate_stand_beside_the_true_ones(tmp_path, monkeypatch):
    table = approximate.TABLES["approximate-estimates"]
    whole = table.make()
    config = dataclasses.replace(whole.config, hidden_units=(8,), total_timesteps=1024)
    small = dataclasses.replace(whole, strengths={"reflect": (1.0,)}, config=config, num_seeds=2)
    tables = {"approximate-estimates": table._replace(make=lambda: small)}
    monkeypatch.setattr(approximate, "TABLES", tables)
    done = reproduce("--table=approximate-estimates", f"--out_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "table_approximate-estimates.csv").open() as file:
        exact, reflected = csv.DictReader(file)
    assert float(exact["true_rms"]) == 0 and exact["rank_correlation"] == "nan"
    assert float(reflected["true_price"]) == 1.0  # of docs/approximate_symmetry.md
    assert float(reflected["true_mean"]) <= float(reflected["true_rms"]) <= 2.0
    for row in (exact, reflected):
        assert row["critics"] == "2" and float(row["one_rms"]) >= float(row["one_mean"]) > 0
    assert "true and estimated** by 2 critics" in done.stdout


def test_a_process_full_of_programs_is_followed_by_a_new_one(monkeypatch):
    def full():
        raise ProcessFullError("no room")

    begun = []
    monkeypatch.setattr(os, "execv", lambda *arguments: begun.append(arguments))
    done = run_here("reproduce", change=lambda module: monkeypatch.setattr(module, "main", full))
    assert begun == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]
    assert "a new one goes on" in done.stdout
    done = run_here("tune", change=lambda module: monkeypatch.setattr(module, "main", full))
    assert len(begun) == 1 and done.returncode == 1
    assert done.stderr == "error: no room Nothing was trained yet.\n"
