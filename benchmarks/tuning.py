"""How fast a search is whose trials train side by side, and what its ways of choosing them find.

    python -m benchmarks.tuning --trials=32 --seeds=8
    python -m benchmarks.tuning --compare --repeats=8

The first times the same trials in turn: as one search; one after another, each a run of its own,
which share their program; and so that each compiles its own. All keep run folders, and the time to
compile is included. The second gives random search,
successive halving and Optuna the same number of environment steps, several times with other random
seeds, and trains what each found best for seeds that no search saw.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl import experiments
from tf_equirl.agents import NonFiniteError, PPOConfig, train_ppo
from tf_equirl.experiments.tuning import METHODS, Search, with_values
from tf_equirl.training import programs
from tf_equirl.training.search_space import declared_spaces

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_ACTORS = flags.DEFINE_list("actors", ["mlp", "gcnn"], "kinds of policy network")
_TRIALS = flags.DEFINE_integer("trials", 32, "trials of a search", lower_bound=1)
_SEEDS = flags.DEFINE_integer("seeds", 8, "seeds of a trial", lower_bound=1)
_TIMESTEPS = flags.DEFINE_integer("timesteps", 10_240, "environment steps of a seed")
_COMPARE = flags.DEFINE_bool("compare", False, "compare what methods find, not speed")
_REPEATS = flags.DEFINE_integer("repeats", 8, "searches of each method", lower_bound=2)
_SPACE = (
    "learning_rate",
    "anneal_learning_rate",
    "entropy_coefficient",
    "gae_lambda",
    "clip_ratio",
)
_FRESH_SEEDS = range(2000, 2032)


def main() -> None:
    """Measures every kind of actor; prints a table."""
    machine = common.describe_machine()
    rows = []
    for kind in _ACTORS.value:
        print(f"{kind} ...", flush=True)
        rows += compare(kind) if _COMPARE.value else [measure(kind)]
    title, caption = (
        "a search",
        "Seconds and trials an hour: side by side, one by one, compiled anew.",
    )
    if _COMPARE.value:
        title, caption = "what searches find", "Gain: over random search. ±: two standard errors."
    table = common.table(f"{_ENV.value}: {title}", caption, "actor", tuple(rows[0])[1:])
    for row in rows:
        table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values()))
    rich.print(table)
    common.finish(machine, rows)


def search(kind: str, **fields: Any) -> Search:
    """The search of a kind of actor."""
    config = PPOConfig(actor=kind, total_timesteps=_TIMESTEPS.value)
    declared = declared_spaces(config)
    space = {name: declared[name] for name in _SPACE}
    seeds = range(1000, 1000 + _SEEDS.value)
    return Search(_ENV.value, config, space, **{"trials": _TRIALS.value, "seeds": seeds, **fields})


def measure(kind: str) -> dict[str, Any]:
    """One row: trials side by side, the same ones one by one, and each compiled anew."""
    wanted = search(kind)
    with tempfile.TemporaryDirectory() as folder:
        programs.clear()
        started = time.perf_counter()
        tuned = wanted.run(Path(folder) / "search")
        together = time.perf_counter() - started
        configs = [with_values(wanted.config, trial.values) for trial in tuned.trials]
        programs.clear()
        shared = one_by_one(configs, wanted.seeds, Path(folder) / "shared", anew=False)
        alone = one_by_one(configs, wanted.seeds, Path(folder) / "anew", anew=True)
    hour = 3600 * len(configs)
    return {
        "actor": kind,
        "trials": len(configs),
        "seeds": len(wanted.seeds),
        "side, s": together,
        "one, s": shared,
        "anew, s": alone,
        "side/h": hour / together,
        "one/h": hour / shared,
        "anew/h": hour / alone,
    }


def one_by_one(configs: Sequence[Any], seeds: Sequence[int], folder: Path, anew: bool) -> float:
    """Seconds that the trials take as runs of their own, each of them compiling or not."""
    started = time.perf_counter()
    for number, config in enumerate(configs):
        if anew:
            programs.clear()
        with contextlib.suppress(NonFiniteError):
            train_ppo(_ENV.value, config, seeds, folder / str(number))
    return time.perf_counter() - started


def compare(kind: str) -> list[dict[str, Any]]:
    """Rows of methods: what the best of each search scores on seeds that no search saw."""
    budget = _TRIALS.value * _SEEDS.value * _TIMESTEPS.value
    found: dict[str, list[float]] = {}
    for repeat in range(_REPEATS.value):
        for method in METHODS:
            # Successive halving begins with more trials for the same number of steps.
            fields: dict[str, Any] = {"method": method, "rungs": 2, "random_seed": repeat}
            wanted = search(kind, trials=10 * _TRIALS.value, max_environment_steps=budget, **fields)
            with tempfile.TemporaryDirectory() as folder:
                tuned = wanted.run(Path(folder) / "search")
            result = train_ppo(_ENV.value, tuned.best_config, _FRESH_SEEDS)
            score = float(np.mean(experiments.area_under_curve(result)))
            found.setdefault(method, []).append(score)
            print(f"{kind} {method} {repeat}: {score:.1f}", flush=True)
    rows = []
    for method, scores in found.items():
        gain = np.array(scores) - np.array(found["random"])
        mean, error = experiments.mean_and_error(np.array(scores))
        of_gain, gain_error = experiments.mean_and_error(gain)
        rows.append(
            {
                "actor": kind,
                "method": method,
                "searches": len(scores),
                "score": mean,
                "±": error,
                "gain": of_gain,
                "± of it": gain_error,
            }
        )
    return rows


def run() -> None:
    """Entry point."""
    launch(main, lambda: "Nothing is kept.")


if __name__ == "__main__":
    run()
