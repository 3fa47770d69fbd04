"""Ways to use a symmetry, raced against each other on gymnasium's environments.

An ordinary agent, one that learns from all images of its data, one whose trained policy is averaged
over the group, and one whose networks are equivariant.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs, models
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.distributions import Gaussian
from tf_equirl.evaluation import evaluate
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.reports import difference_text
from tf_equirl.experiments.statistics import (
    decimals_for,
    mean_and_error,
    paired_difference,
    rounded,
)
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.race.contest import Race


class Track(NamedTuple):
    """Where the ways are raced.

    Attributes:
        timesteps: Rows of the table.
        levels: Mean returns whose first timestep is reported.
        fields: In which the agents differ from `BASE`.
    """

    timesteps: tuple[int, ...]
    levels: tuple[float, ...]
    fields: Mapping[str, Any]


BASE = PPOConfig(
    actor="mlp",
    total_timesteps=98_304,
    num_environments=8,
    rollout_steps=128,
    num_epochs=10,
    num_minibatches=16,
    normalize_observations=True,
    normalize_rewards=True,
)
"""What the agents have before they are tuned: customary numbers for these environments."""
_STEPS = (10_000, 25_000, 50_000, 98_304)
TRACKS = {
    "Acrobot-v1": Track(_STEPS, (-300.0, -200.0, -100.0), {}),
    "Pendulum-v1": Track(_STEPS, (-1000.0, -500.0, -250.0), {"discount": 0.95}),
    "MountainCarContinuous-v0": Track(_STEPS, (0.0, 50.0, 90.0), {}),
    "InvertedDoublePendulum-v5": Track(_STEPS, (300.0, 1000.0, 5000.0), {}),
    "Reacher-v5": Track(_STEPS, (-20.0, -10.0, -7.0), {"discount": 0.95}),
}
"""By id of gymnasium's."""
TRIALS = 12
SEARCH_SEEDS = (1000, 1001, 1002, 1003)
NUM_SEEDS = 16
EPISODES = 50
"""Greedy episodes of every trained policy."""
_FILE = "played.json"


def ways(environment: str) -> Race:
    """The ways to use a symmetry on an environment, before they are tuned.

    Args:
        environment: One of `TRACKS`; those of MuJoCo need the extra of that name.

    Raises:
        ValueError: If the environment cannot be made.
    """
    track = TRACKS[environment]
    mlp = dataclasses.replace(BASE, **track.fields)
    actor, critic = (trained_parameters(m) for m in mlp.networks(envs.make(environment)))
    equivariant = dataclasses.replace(
        mlp,
        actor="gcnn",
        critic="invariant",
        match_parameters=actor,
        match_critic_parameters=critic,
    )
    name = environment.lower()
    return Race(
        Experiment(
            name=f"ways-{name}",
            title=f"{environment}, ways to use its symmetry",
            environment=environment,
            timesteps=track.timesteps,
            levels=track.levels,
            columns=(
                Column("mlp", "MLP", mlp),
                Column("orbit", "MLP, all images", dataclasses.replace(mlp, augmentation="orbit")),
                Column("gcnn", "G-CNN, invariant critic", equivariant),
            ),
            comparisons=(("gcnn", "orbit"),),
            num_seeds=NUM_SEEDS,
        ),
        trials=TRIALS,
        search_seeds=SEARCH_SEEDS,
        savings=(
            ("symmetry in the data", "orbit", "mlp"),
            ("symmetry in the networks", "gcnn", "mlp"),
            ("networks instead of data", "gcnn", "orbit"),
        ),
    )


def play(
    experiment: Experiment,
    results: Mapping[Column, TrainingResult],
    folder: Path,
    episodes: int = EPISODES,
) -> dict[str, np.ndarray]:
    """Greedy returns of all trained policies, and of those averaged that are not equivariant.

    Args:
        experiment: What was trained.
        results: As `Experiment.train` returns them.
        folder: Of the experiment's runs, where returns are kept; those that are there are read.
        episodes: Of every policy; the same start states for all.

    Returns:
        By label, the first one the baseline: `[seeds]`, mean over episodes.
    """
    env = envs.make(experiment.environment)
    continuous = isinstance(env.action_distribution, Gaussian)
    file = folder / _FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found = {}
    for column, result in results.items():
        equivariant = getattr(column.config, "actor", None) != "mlp"
        for label in (column.label, f"{column.label}, averaged")[: 1 if equivariant else 2]:
            key = f"{label}, {len(result.seeds)} seeds, {episodes} episodes"
            if key not in known:
                actors = [result.actor(seed) for seed in result.seeds]
                if label != column.label:
                    actors = [models.averaged(a, env.symmetry, continuous) for a in actors]
                known[key] = [evaluate(actor, env, episodes).mean for actor in actors]
                write_text_atomically(file, json.dumps(known, indent=1))
            found[label] = np.array(known[key])
    return found


def played_markdown(played: Mapping[str, np.ndarray], episodes: int = EPISODES) -> str:
    """Greedy returns of trained policies, and differences of the same seeds to the first."""
    first, baseline = next(iter(played.items()))
    rows = []
    for label, values in played.items():
        gain = difference_text(paired_difference(values, baseline))
        mean, error = mean_and_error(values)
        worst = f"{values.min():.{decimals_for(error)}f}"
        rows.append([label, rounded(mean, error), worst, "" if values is baseline else gain])
    return (
        f"**What was learned**: trained policies, acting greedily, {episodes} episodes each from "
        "the same start states. Averaged: every pose of an observation is asked and the mean is "
        "taken, after training.\n\n"
        + markdown_table(["policy", "return", "worst seed", f"minus {first}"], rows)
        + "\n"
    )
