"""Our environments beside gymnasium's, and `train_ppo` beside Stable-Baselines3's PPO.

    pip install stable-baselines3
    python -m benchmarks.stable_baselines

Environments are made by `gymnasium.make` and `gymnasium.make_vec` and stepped with random actions,
resets included; the ratio of steps/s is to gymnasium's own CartPole-v1 of as many copies.

PPO learns gymnasium's `CartPole-v1`, which both libraries step on the host, with the same
hyperparameters: those of `PPOConfig(actor="mlp", clip_value=0)`, 4 environments, 128 steps, 4
epochs of minibatches of 128, two layers of 64 for each of two networks. Values are not clipped, as
the two losses do that in different ways. Initial weights are drawn as each library does.
Stable-Baselines3 trains one seed after the other; `train_ppo` trains one, or several side by side,
and computes one as four (docs/results.md). Times are of whole runs, from making the environments to
trained networks, in a process that has compiled its programs. Returns are those of the trained
policies acting greedily, `EPISODES` episodes each, with two standard errors over seeds.

What is compared takes turns, and ratios are medians of the rounds' own, with their quartiles.
`--timesteps=0` leaves out PPO, for which nothing needs to be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import keras
import numpy as np
import rich
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs
from tf_equirl.agents import PPOConfig, train_ppo

_COPIES = flags.DEFINE_list("copies", ["4", "64"], "copies of the vector environments")
_STEPS = flags.DEFINE_integer("steps", 2000, "steps of a timed round of environments", 1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "timed rounds of environments", lower_bound=1)
_TIMESTEPS = flags.DEFINE_integer("timesteps", 25_600, "environment steps per seed of PPO", 0)
_SEEDS = flags.DEFINE_integer("seeds", 8, "seeds of PPO side by side", 2, 32)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "timed rounds of PPO, each with new single seeds", 1)

IDS = ("CartPole-v1", "tf_equirl/CartPole-v1", "tf_equirl/Catch-v0")
EPISODES = 20


def main() -> None:
    """Measures environments, then PPO; prints a table for each."""
    machine = common.describe_machine()
    rows = []
    for copies in (None, *map(int, _COPIES.value)):
        rows += measure_environments(copies, _STEPS.value, _REPEATS.value)
    rich.print(_table(rows, "Environments through gymnasium", "environment"))
    if _TIMESTEPS.value:
        ppo = measure_ppo(_TIMESTEPS.value, _SEEDS.value, _ROUNDS.value)
        rich.print(_table(ppo, "PPO on gymnasium's CartPole-v1", "trainer"))
        for row in ppo:
            print("{label}: greedy return {return:.1f} +- {return_error:.1f}".format(**row))
        rows += ppo
    common.finish(machine, rows)


def measure_environments(copies: int | None, steps: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each id: single environments, or `copies` of each in a vector environment."""
    calls = {}
    for name in IDS:
        env: Any = gymnasium.make_vec(name, copies) if copies else gymnasium.make(name)
        env.reset(seed=0)
        env.action_space.seed(0)
        actions = [env.action_space.sample() for _ in range(steps)]
        label = f"{name}, {copies} copies" if copies else name
        calls[label] = _stepping(env, actions, bool(copies))
    return _rows(calls, {label: steps * (copies or 1) for label in calls}, repeats)


def measure_ppo(timesteps: int, seeds: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each trainer: Stable-Baselines3, `train_ppo` with one seed and with `seeds`."""
    env = envs.make("CartPole-v1")
    config = PPOConfig(actor="mlp", clip_value=0, total_timesteps=timesteps)
    theirs, ours, together = "Stable-Baselines3", "train_ppo, 1 seed", f"train_ppo, {seeds} seeds"
    # What the rounds have trained; those of single seeds train another one each.
    trained: dict[str, list[Any]] = {theirs: [], ours: [], together: []}
    calls = {
        theirs: lambda: trained[theirs].append(_stable_baselines(config, len(trained[theirs]))),
        ours: lambda: trained[ours].append(train_ppo(env, config, [len(trained[ours])])),
        together: lambda: trained[together].append(train_ppo(env, config, range(seeds))),
    }
    steps = config.num_updates * config.batch_size
    rows = _rows(calls, {theirs: steps, ours: steps, together: seeds * steps}, rounds)
    policies = {
        theirs: [lambda x, m=m: m.predict(x, deterministic=True)[0] for m in trained[theirs]],
        ours: [_greedy(result.actor(seed)) for seed, result in enumerate(trained[ours])],
        together: [_greedy(trained[together][-1].actor(seed)) for seed in range(seeds)],
    }
    for row in rows:
        returns = [greedy_return(policy) for policy in policies[row["label"]]]
        error = 2 * np.std(returns, ddof=1) / np.sqrt(len(returns))
        row |= {"return": float(np.mean(returns)), "return_error": float(error)}
    return rows


def greedy_return(policy: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean return of `EPISODES` episodes of gymnasium's CartPole-v1, for which every step is 1."""
    env = gymnasium.make_vec("CartPole-v1", EPISODES)
    observations, _ = env.reset(seed=12345)
    lengths, running = np.zeros(EPISODES), np.ones(EPISODES, bool)
    while running.any():
        observations, _, terminated, truncated, _ = env.step(policy(observations))
        lengths += running
        running &= ~(terminated | truncated)
    return float(lengths.mean())


def _greedy(actor: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.argmax(actor(x), axis=-1)


def _stepping(env: Any, actions: list[Any], batched: bool) -> Callable[[], None]:
    """Steps an environment by the actions; a single one is reset where an episode ends."""

    def call() -> None:
        env.reset()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if not batched and (terminated or truncated):
                env.reset()

    return call


def _stable_baselines(config: PPOConfig, seed: int) -> Any:
    """Trains one seed of their PPO on gymnasium's CartPole-v1 by our hyperparameters."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)  # more of them wait for each other on networks this small
    units = list(config.hidden_units)
    agent = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", config.num_environments, seed=seed),
        learning_rate=config.learning_rate,
        n_steps=config.rollout_steps,
        batch_size=config.batch_size // config.num_minibatches,
        n_epochs=config.num_epochs,
        gamma=config.discount,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_ratio,
        ent_coef=config.entropy_coefficient,
        vf_coef=config.value_coefficient / 2,  # our value loss is half the squared error
        max_grad_norm=config.max_gradient_norm,
        policy_kwargs={
            "net_arch": {"pi": units, "vf": units},
            "activation_fn": torch.nn.ReLU,
            "optimizer_kwargs": {
                "betas": (config.adam_beta_1, config.adam_beta_2),
                "eps": config.adam_epsilon,
            },
        },
        seed=seed,
        device="cpu",
    )
    return agent.learn(config.num_updates * config.batch_size)


def _rows(
    calls: dict[str, Callable[[], Any]], steps: dict[str, int], repeats: int
) -> list[dict[str, Any]]:
    """Steps/s of every call, and ratios to the first one's of the same round."""
    seconds = common.alternate(calls, repeats, warm_up=0)
    rates = {label: steps[label] / times for label, times in seconds.items()}
    first = next(iter(rates.values()))
    rows = []
    for label, rate in rates.items():
        low, median, high = common.quartiles(rate)
        ratio_low, ratio, ratio_high = common.quartiles(rate / first)
        rows.append(
            {
                "label": label,
                "steps_per_second": median,
                "steps_per_second_quartiles": [low, high],
                "ratio": ratio,
                "ratio_quartiles": [ratio_low, ratio_high],
            }
        )
    return rows


def _table(rows: list[dict[str, Any]], title: str, label: str) -> Table:
    table = common.table(title, "Medians, quartiles.", label, ("steps/s", "ratio"))
    for row in rows:
        table.add_row(
            row["label"],
            f"{row['steps_per_second']:,.0f}",
            common.with_quartiles(row["ratio"], row["ratio_quartiles"], 2),
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
