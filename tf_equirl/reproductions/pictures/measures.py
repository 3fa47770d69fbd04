"""What is measured of trained networks for pictures, beside their returns."""

from __future__ import annotations

import keras
import numpy as np

from tf_equirl import models
from tf_equirl.agents import TrainingResult
from tf_equirl.envs import BaseEnvironment
from tf_equirl.evaluation import model_equivariance_error
from tf_equirl.experiments.statistics import Estimate

ERROR_OF_EQUIVARIANCE = (
    "**Equivariance error** of the first seed's policy, the largest over the group of the "
    "environment; all outputs for 1,000 states that random actions lead to, relative to them."
)


def equivariance_errors(env: BaseEnvironment, result: TrainingResult) -> tuple[float, float]:
    """The largest error of equivariance of the first seed's policy, before training and after.

    Args:
        env: The environment that it was trained in.
        result: The agents.
    """
    seed = result.seeds[0]
    trained = result.actor(seed)
    fresh = keras.models.clone_model(trained)
    weights = models.fresh_weights([trained], seed)
    for variable, value in zip(fresh.trainable_variables, weights, strict=True):
        variable.assign(value)
    before, after = (model_equivariance_error(model, env).max for model in (fresh, trained))
    return before, after


def steps_in_words(steps: Estimate, result: TrainingResult) -> str:
    """Real steps of a run, with their interval: "12,345 [11,000, > 60,000]"."""
    return in_words(steps, f"> {result.timesteps[-1]:,}", "{:,.0f}")


def in_words(estimate: Estimate, infinite: str, pattern: str) -> str:
    """A number with its interval; `infinite` where one of them is, "unknown" where it is NaN."""
    if np.isnan(estimate.value):
        return "unknown"
    texts = [infinite if np.isinf(x) else pattern.format(x) for x in estimate]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if np.isfinite(estimate.low) else texts[0]
