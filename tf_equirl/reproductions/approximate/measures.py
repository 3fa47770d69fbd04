"""What tables say of trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

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
        f"minus_{name}": gain.mean,
        f"minus_{name}_low": gain.low,
        f"minus_{name}_high": gain.high,
    }


def layer_spreads(actors: Sequence[keras.Model]) -> NDArray[np.float64]:
    """Of the weights of relaxed layers: `[actors, layers]`; no layers where there are none."""
    return np.array(
        [[float(x.spread()) for x in actor.layers if hasattr(x, "spread")] for actor in actors]
    )


def spreads(result: Any) -> NDArray[np.float64]:
    """Of the weights of relaxed layers, mean over the actor's layers: `[seeds]`.

    Args:
        result: Of training, whose actors have relaxed layers.
    """
    return layer_spreads([result.actor(seed) for seed in result.seeds]).mean(axis=1)
