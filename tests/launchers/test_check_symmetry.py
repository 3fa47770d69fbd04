"""`launchers.check_symmetry`."""

import pytest
from in_process import run_here

from tf_equirl import envs
from tf_equirl.envs import symmetries


@pytest.mark.parametrize("env", ["CartPole", "Pendulum-v1"])
def test_it_prints_the_report(env):
    result = run_here("check_symmetry", f"--env={env}", "--samples=40", "--seed=3")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{envs.check_symmetry(env, samples=40, seed=3).text()}\n"


def test_a_broken_one_is_told():
    arguments = ["--env_arg=breaking=gain", "--env_arg=kappa=1"]
    result = run_here("check_symmetry", "--env=CartPole", *arguments, "--samples=40")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("CartPole under C2: broken")


def test_it_prints_the_table(monkeypatch):
    few = {name: symmetries.DECLARED[name] for name in ("MountainCar-v0", "Hopper-v5")}
    monkeypatch.setattr("tf_equirl.envs.symmetries.table.DECLARED", few)
    result = run_here("check_symmetry", "--table", "--samples=30")
    assert result.returncode == 0, result.stderr
    known, measured = result.stdout.strip().split("\n\n")
    assert known.split("\n")[2].startswith("| `MountainCar-v0` | C2 | reflects the valley about")
    assert known.split("\n")[3].startswith("| `Hopper-v5` | none |  | none: ")
    rows = [line.split(" | ") for line in measured.split("\n")[2:]]
    assert [row[:3] for row in rows] == [
        ["| `MountainCar-v0`", "C2", "exact"],
        ["| `MountainCar-v0`, states drawn uniformly", "C2", "broken"],
    ]
    assert len({len(line.split(" | ")) for line in measured.split("\n")}) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--env must be given"),
        (["--env=CartPole", "--table"], "--env must not be given with --table"),
        (["--env=CartPol"], "`env` must be one of"),
        (["--env=FrozenLake-v1"], "`symmetry` must be given: none is declared"),
        (["--env=CartPole", "--samples=0"], "`samples` must be a positive integer"),
    ],
)
def test_bad_flags_give_one_clear_line(flags, message):
    result = run_here("check_symmetry", *flags)
    assert result.returncode != 0 and message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
