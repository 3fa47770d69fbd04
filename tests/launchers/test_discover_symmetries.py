"""`launchers.discover_symmetries`."""

import pytest
from in_process import run_here

from tf_equirl import envs


@pytest.mark.parametrize(("env", "order"), [("CartPole", 2), ("MountainCar-v0", 1)])
def test_it_prints_the_report_and_the_code(env, order):
    result = run_here("discover_symmetries", f"--env={env}", "--samples=40", "--seed=3")
    assert result.returncode == 0, result.stderr
    found = envs.discover_symmetries(env, samples=40, seed=3)
    report = str(found).rsplit(", ", 1)[0]  # without the seconds
    assert result.stdout.startswith(report)
    assert found.symmetry.group.order == order
    assert (found.code() in result.stdout) == (order > 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--env must be given"),
        (["--env=CartPol"], "`env` must be one of"),
        (["--env=CartPole", "--level=2"], "`level` must be a number between 0 and 1"),
    ],
)
def test_wrong_flags(flags, message):
    result = run_here("discover_symmetries", *flags)
    assert result.returncode != 0 and message in result.stderr
