"""A symmetry in the data, in the loss, by averaging, and in the network, on Catch.

    python -m benchmarks.augmentation --num_seeds=16

Agents of the thesis' hyperparameters train on the same seeds, and returns of each are compared with
those of the MLP, seed by seed. Averaging over the group is done to the trained MLPs, which play
episodes with and without it. Agents that are done are in `--folder`, from which it goes on.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from absl import flags

from launchers.common import launch
from tf_equirl import envs, experiments, models
from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.evaluation import evaluate

_FOLDER = flags.DEFINE_string("folder", "runs/augmentation", "where results are kept")
_SEEDS = flags.DEFINE_integer("num_seeds", 16, "seeds of each agent", lower_bound=2)
_FIRST = flags.DEFINE_integer("first_seed", 2000, "the first of them", lower_bound=0)
_EPISODES = flags.DEFINE_integer("episodes", 1000, "of each averaged policy", lower_bound=1)

TIMESTEPS = (1_000, 2_000, 5_000, 10_000)
BASE = PPOConfig(actor="mlp", rollout_steps=10, total_timesteps=10_000)
GCNN = {"actor": "gcnn", "match_parameters": 7619}
INVARIANT = {"critic": "invariant", "match_critic_parameters": 7489}
AGENTS = {
    "MLP": {},
    "MLP, random": {"augmentation": "random"},
    "MLP, orbit": {"augmentation": "orbit"},
    "MLP, consistency 0.1": {"consistency_coefficient": 0.1},
    "MLP, consistency 1": {"consistency_coefficient": 1.0},
    "G-CNN": GCNN,
    "G-CNN, invariant critic": {**GCNN, **INVARIANT},
}


def main() -> None:
    """Trains, evaluates and prints a table of what there is after each agent."""
    folder = Path(_FOLDER.value)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "returns.json"
    found: dict[str, list[list[float]]] = json.loads(file.read_text()) if file.exists() else {}
    seeds = range(_FIRST.value, _FIRST.value + _SEEDS.value)

    def keep(name: str, values: list[np.ndarray]) -> None:
        found[name] = [np.asarray(x, float).tolist() for x in values]
        file.write_text(json.dumps(found, indent=1))
        print(name, *(f"{np.mean(x):.3f}" for x in values), flush=True)

    for name, fields in AGENTS.items():
        if name not in found:
            result = train_ppo("Catch", dataclasses.replace(BASE, **fields), seeds)
            keep(name, [experiments.return_at(result, t) for t in TIMESTEPS])
    names = ("MLP, evaluated", "MLP averaged, evaluated")
    if names[1] not in found:
        for name, values in zip(names, _averaged(seeds), strict=True):
            keep(name, values)
    _table(found, "MLP", list(AGENTS))
    _table(found, names[0], list(names))


def _averaged(seeds: range) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Mean returns of the MLPs as they are after some steps, and averaged over the group."""
    env = envs.make("Catch")
    plain, averaged = [], []
    for timestep in TIMESTEPS:
        result = train_ppo(env, dataclasses.replace(BASE, total_timesteps=timestep), seeds)
        actors = [result.actor(seed) for seed in seeds]
        pairs = [(a, models.averaged(a, env.symmetry)) for a in actors]
        both = [[evaluate(m, env, _EPISODES.value, greedy=False).mean for m in p] for p in pairs]
        for values, of_kind in zip((plain, averaged), np.transpose(both), strict=True):
            values.append(of_kind)
    return plain, averaged


def _table(found: dict[str, list[list[float]]], baseline: str, names: list[str]) -> None:
    """Means with two standard errors, and below them differences of the same seeds."""
    print("| agent |" + "".join(f" {t:,} |" for t in TIMESTEPS))
    print("|---|" + "---|" * len(TIMESTEPS))
    for name in names:
        values = [np.array(x) for x in found[name]]
        print(f"| {name} |" + "".join(f" {_text(x)} |" for x in values))
        if name != baseline:
            gains = [x - np.array(y) for x, y in zip(values, found[baseline], strict=True)]
            print("| difference |" + "".join(f" {_text(x, '+')} |" for x in gains))


def _text(values: np.ndarray, sign: str = "") -> str:
    mean, error = experiments.mean_and_error(values)
    return f"{mean:{sign}.3f} ± {error:.3f}"


def run() -> None:
    """Entry point."""
    launch(main, lambda: "Agents that are done are kept; the same command goes on.")


if __name__ == "__main__":
    run()
