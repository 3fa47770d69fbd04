"""What tables say of trained networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tf_equirl import envs, evaluation
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.metrics import area_under_curve, return_at
from tf_equirl.experiments.statistics import mean_and_error, paired_difference


def curve_columns(result: TrainingResult, baseline: TrainingResult, name: str) -> dict[str, Any]:
    """Of learning curves: area below them, return at the end, areas less those of a baseline.

    Args:
        result: Of training.
        baseline: Likewise, of the same seeds.
        name: Of the baseline.
    """
    area, end = area_under_curve(result), return_at(result, int(result.timesteps[-1]))
    gain = paired_difference(area, area_under_curve(baseline))
    return {
        "seeds": len(area),
        "timesteps": int(result.timesteps[-1]),
        "area": float(area.mean()),
        "area_error": mean_and_error(area)[1],
        "end": float(end.mean()),
        "end_error": mean_and_error(end)[1],
        **interval_columns(f"minus_{name}", gain.mean, gain.low, gain.high),
    }


def interval_columns(name: str, value: float, low: float, high: float) -> dict[str, float]:
    """Of what a table calls by a name: the value, and the interval around it."""
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def runs_by_rate(
    train: Callable[..., Any],
    env: envs.BaseEnvironment,
    config: Any,
    rates: Sequence[float],
    timesteps: int,
    seeds: Sequence[int],
    place: Path,
) -> dict[float, TrainingResult]:
    """Results by learning rate; goes on with what is in the folder.

    Args:
        train: Called as `agents.train_sac` is.
        env: The environment.
        config: Of the agent, whatever its learning rate and number of steps.
        rates: To be compared.
        timesteps: Of each run.
        seeds: By which rates are compared.
        place: Folder of the run.
    """
    config = dataclasses.replace(config, total_timesteps=timesteps)
    configs = [dataclasses.replace(config, learning_rate=rate) for rate in rates]
    results = train(env, configs, seeds, place, resume=(place / "run.json").exists())
    return dict(zip(rates, results, strict=True))


def areas_by_rate(runs: Mapping[float, TrainingResult]) -> dict[float, float]:
    """By learning rate the mean area under the curve, of what `runs_by_rate` gives."""
    return {rate: float(area_under_curve(result).mean()) for rate, result in runs.items()}


def best_rate(areas: Mapping[float, float]) -> float:
    """The learning rate of the largest area that is known.

    Raises:
        ValueError: If none is.
    """
    known = {rate: area for rate, area in areas.items() if not np.isnan(area)}
    if not known:
        raise ValueError(f"areas must hold a finite one. Received: areas={dict(areas)}")
    return max(known, key=lambda rate: known[rate])


def noisy_returns(
    result: TrainingResult,
    env: envs.Environment,
    noise: Mapping[float, Sequence[float]],
    episodes: int,
    file: Path,
) -> dict[float, NDArray[np.float64]]:
    """Plays the last policies through noise that they were not trained with.

    Args:
        result: Of training.
        env: Where policies are played, in the same episodes whatever the noise.
        noise: Deviations, see `envs.NoisyObservations`, by the name of how much that is.
        episodes: Of each seed and noise.
        file: Where returns are kept, and read if it has those that are asked for.

    Returns:
        By the same names mean greedy returns of the seeds; NaN of one that became non-finite.
    """
    asked = {"episodes": episodes, "shares": list(noise), "seeds": list(result.seeds)}
    kept = json.loads(file.read_text()) if file.exists() else {}
    if {name: kept.get(name) for name in asked} != asked:
        noisy = [envs.NoisyObservations(env, deviation) for deviation in noise.values()]
        kept = {**asked, "returns": [_greedy_returns(result, seen, episodes) for seen in noisy]}
        write_text_atomically(file, json.dumps(kept))
    return {name: np.array(r, float) for name, r in zip(noise, kept["returns"], strict=True)}


def _greedy_returns(result: TrainingResult, env: envs.Environment, episodes: int) -> list[float]:
    return [
        float("nan")
        if np.isnan(curve[-1])
        else evaluation.evaluate(result.actor(seed), env, episodes).mean
        for seed, curve in zip(result.seeds, result.returns, strict=True)
    ]


def layer_spreads(models: Sequence[keras.Model]) -> NDArray[np.float64]:
    """Of the weights of relaxed layers: `[models, layers]`; no layers where there are none."""
    return np.array(
        [[float(x.spread()) for x in model.layers if hasattr(x, "spread")] for model in models]
    )


def mean_spreads(models: Sequence[keras.Model]) -> NDArray[np.float64]:
    """Of the weights of relaxed layers, mean over each model's: `[models]`; NaN without such."""
    of_layers = layer_spreads(models)
    return of_layers.mean(axis=1) if of_layers.size else np.full(len(models), np.nan)
