"""What learning a transition model gives back."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.training.result import Outcome, Result
from tf_equirl.training.saved import read_run

# Gradient steps of one compiled call at most: a few seconds, so that Ctrl-C is heard and progress
# seen within an epoch of many transitions.
STEPS_PER_CALL = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransitionResult(Result):
    """The outcome of `fit_transition_model`: learning curves and weights of every seed.

    Attributes:
        metric_names: The metrics of the environment's head; the first one is the loss.
        loss: `[seeds, epochs]`, the training loss, mean over an epoch's gradient steps. NaN from
            the epoch on in which a seed became non-finite.
        validation: By metric `[seeds, epochs]`, on the validation data after each epoch; empty
            without such data.
    """

    metric_names: tuple[str, ...]
    loss: np.ndarray
    validation: dict[str, np.ndarray]

    def model(self, role: str | int, seed: int | None = None) -> keras.Model:
        """The trained model of one seed; `model(3)` is `model("transition_model", 3)`.

        Raises:
            ValueError: If the run had no such network or seed.
        """
        if not isinstance(role, str):
            return super().model(ROLE, role)
        if seed is None:
            raise ValueError(f"seed must be given. Received: role={role!r}, seed=None")
        return super().model(role, seed)

    @property
    def architecture(self) -> keras.Model:
        """The Keras model whose weights `weights` are; it is not trained itself."""
        return self.networks[ROLE]


def load_transition_result(run_dir: str | os.PathLike, env: envs.Environment | None = None) -> Any:
    """The result of a run, curves and trained models, from its folder; nothing is written.

    Args:
        run_dir: Folder that `fit_transition_model` wrote.
        env: The environment, where the folder does not say how to make it: its class is none of a
            module, or its arguments are no plain values.

    Returns:
        The result up to the last checkpoint; `finished` says whether that is the run's end. A list
        of results for a run of a list of configs.

    Raises:
        ValueError: If the folder holds no run of `fit_transition_model`, or one of which nothing
            was saved yet, is damaged, or the environment is another one than the run's.
    """
    found = read_run(run_dir, "fit_transition_model", env)
    configs = found.configs(TransitionModelConfig)
    config = configs[0]
    rows, size = found.description["data"]["num_transitions"], config.batch_size
    steps = max(1, rows // size)  # of an epoch
    done = found.outcome.done
    epochs = done["validate"]
    if not epochs <= config.num_epochs or not 0 <= done["step"] - epochs * steps <= steps:
        raise ValueError(
            f"the checkpoint must be one of this run, of {config.num_epochs} epochs of {steps} "
            f"steps. Received: {run_dir}, with {epochs} epochs and {done['step']} steps made"
        )
    outcome = found.outcome._replace(finished=epochs == config.num_epochs)
    if not found.several:
        return transition_result(found.env, config, found.networks, outcome, steps)
    return [
        transition_result(found.env, config, found.networks, part, steps)
        for config, part in zip(configs, outcome.parts(len(configs)), strict=True)
    ]


def transition_result(
    env: Any,
    config: TransitionModelConfig,
    networks: dict[str, keras.Model],
    outcome: Outcome,
    steps: int,
) -> TransitionResult:
    """The result of a run up to its last finished epoch, of so many gradient steps each."""
    epochs, harmed = outcome.done["validate"], outcome.harmed("validate")
    losses = outcome.reported("step", "loss")
    losses = losses[: epochs * steps].reshape(epochs, steps, len(outcome.seeds))
    total = np.zeros([epochs, len(outcome.seeds)], np.float32)
    for start in range(0, steps, STEPS_PER_CALL):
        part = np.zeros_like(total)
        for k in range(start, min(start + STEPS_PER_CALL, steps)):
            part += losses[:, k]
        total += part
    loss = total / np.float32(steps)
    names = [n for n in env.transition_head.metric_names if n in outcome.names("validate")]
    nan = np.float32(np.nan)
    return TransitionResult(
        **outcome.common(),
        environment=env.name,
        config=config,
        networks=networks,
        metric_names=env.transition_head.metric_names,
        loss=np.where(harmed, nan, loss).T,
        validation={n: np.where(harmed, nan, outcome.reported("validate", n)).T for n in names},
    )
