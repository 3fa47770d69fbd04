"""`train_sac` beside Stable-Baselines3's SAC on gymnasium's Pendulum-v1.

    pip install stable-baselines3
    python -m benchmarks.soft_actor_critic --out=soft_actor_critic.json

Hyperparameters are those that Stable-Baselines3 has by default, our preset "stable-baselines3": one
environment, a gradient step of 256 transitions after each step from the 100th on, rate 3e-4, two
layers of 256 for each network. Initial weights are drawn as each library does. The G-CNN knows the
pendulum's mirror image; its widths are such that it has as many parameters as the MLP.

Libraries take turns, seed by seed. Returns are those of the policy of the last step acting
greedily, the same 20 episodes for all, with two standard errors over seeds; steps/s those of whole
runs of one seed, compilation left out, and at last of all seeds side by side, which
`--noside_by_side` leaves out. `--networks=MLP` leaves the G-CNN out. `--out` keeps each run as it
comes; those that it has are not run again.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import keras
import numpy as np
import rich
import tensorflow as tf
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import SACConfig, train_sac

_TIMESTEPS = flags.DEFINE_integer("timesteps", 5_000, "environment steps of a seed", 200)
_SEEDS = flags.DEFINE_integer("seeds", 5, "seeds of each", 2, 32)
_NETWORKS = flags.DEFINE_multi_enum("networks", ["MLP", "G-CNN"], ["MLP", "G-CNN"], "ours")
_SIDE_BY_SIDE = flags.DEFINE_bool("side_by_side", True, "also all seeds of ours in one program")
_OUT = flags.DEFINE_string("out", None, "file of what was run; none by default")

ID, EPISODES = "Pendulum-v1", 20
# Those of the MLP's actor and of each of its critics.
_PARAMETERS = {"match_parameters": 67_330, "match_q_function_parameters": 67_329}


def main() -> None:
    """Runs all that was not run yet, and prints a table."""
    machine = common.describe_machine()
    file = None if _OUT.value is None else Path(_OUT.value)
    found: dict[str, Any] = {}
    if file is not None and file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
    count, together = _SEEDS.value, list(range(_SEEDS.value))
    fields: dict[str, dict[str, Any]] = {
        "MLP": {},
        "G-CNN": {"actor": "gcnn", "q_function": "gcnn", **_PARAMETERS},
    }
    runs: dict[str, Callable[[list[int]], tuple[float, list[Any]]]] = {
        "Stable-Baselines3": _stable_baselines,
        **{f"train_sac, {n}": functools.partial(_ours, fields[n]) for n in _NETWORKS.value},
    }
    work = [(label, [seed]) for seed in together for label in runs]
    if _SIDE_BY_SIDE.value:
        work += [(label, together) for label in list(runs)[1:]]
    for label, seeds in work:
        key = f"{label}, seed {seeds[0]}" if len(seeds) == 1 else f"{label}, {count} seeds"
        if key in found:
            continue
        seconds, policies = runs[label](seeds)
        rate = len(seeds) * _TIMESTEPS.value / seconds
        returns = [greedy_return(policy) for policy in policies]
        found[key] = {"label": label, "steps_per_second": rate, "returns": returns}
        print(f"{key}: {np.mean(returns):.1f}, {rate:,.0f} steps/s", flush=True)
        if file is not None:
            write_text_atomically(file, json.dumps(found, indent=1))
    table = common.table(
        f"SAC on {ID}, {_TIMESTEPS.value:,} steps",
        "Greedy returns, mean and two standard errors.",
        "",
        ("return", "steps/s, 1 seed", f"steps/s, {count} seeds"),
    )
    rows = []
    for label in runs:
        alone = [found[f"{label}, seed {seed}"] for seed in together]
        returns = [r for row in alone for r in row["returns"]]
        error = 2 * np.std(returns, ddof=1) / np.sqrt(len(returns))
        rates = [row["steps_per_second"] for row in alone]
        beside = found.get(f"{label}, {count} seeds", {}).get("steps_per_second")
        table.add_row(
            label,
            f"{np.mean(returns):.0f} ± {error:.0f}",
            f"{np.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})",
            "" if beside is None else f"{beside:,.0f}",
        )
        row = {"label": label, "return": float(np.mean(returns)), "return_error": float(error)}
        rows.append({**row, "steps_per_second": rates, "side_by_side": beside})
    rich.print(table)
    common.finish(machine, rows)


def greedy_return(policy: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean return of `EPISODES` episodes, all of 200 steps."""
    env = gymnasium.make_vec(ID, EPISODES)
    observations, _ = env.reset(seed=12345)
    total = np.zeros(EPISODES)
    for _ in range(200):
        observations, reward, *_ = env.step(policy(observations))
        total += reward
    return float(total.mean())


def _ours(networks: dict[str, Any], seeds: list[int]) -> tuple[float, list[Any]]:
    env = envs.make(ID, policy="squashed_gaussian")
    fields = {"total_timesteps": _TIMESTEPS.value, **networks}
    config = SACConfig.preset("stable-baselines3", **fields)
    result = train_sac(env, config, seeds)
    distribution = env.action_distribution

    def policy(actor: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
        def act(observations: np.ndarray) -> np.ndarray:
            parameters = tf.convert_to_tensor(actor(observations))
            return distribution.executed(distribution.mode(parameters)).numpy()

        return act

    return result.run_seconds, [policy(result.actor(seed)) for seed in seeds]


def _stable_baselines(seeds: list[int]) -> tuple[float, list[Any]]:
    import torch
    from stable_baselines3 import SAC

    torch.set_num_threads(1)  # more of them wait for each other beside other jobs
    (seed,) = seeds
    agent = SAC("MlpPolicy", ID, learning_starts=100, seed=seed, device="cpu")
    started = time.monotonic()
    agent.learn(_TIMESTEPS.value)
    seconds = time.monotonic() - started
    return seconds, [lambda x: agent.predict(x, deterministic=True)[0]]


if __name__ == "__main__":
    launch(main, lambda: "What was run is in --out.")
