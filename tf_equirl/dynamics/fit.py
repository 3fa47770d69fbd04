"""`fit_transition_model`: transition models of many seeds, learned from one dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import keras

from tf_equirl import envs, models
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.learner import TransitionLearner
from tf_equirl.dynamics.progress import FitProgress
from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.dynamics.transitions import Transitions, check_transitions
from tf_equirl.envs.registry import tensor_environment_of
from tf_equirl.models.heads import RealHead
from tf_equirl.training.members import as_configs
from tf_equirl.training.run import train


@overload
def fit_transition_model(
    env: envs.Environment | str,
    data: Transitions,
    config: TransitionModelConfig | None = ...,
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    validation: Transitions | None = ...,
    model: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[FitProgress], None] | None = ...,
) -> TransitionResult: ...


@overload
def fit_transition_model(
    env: envs.Environment | str,
    data: Transitions,
    config: Sequence[TransitionModelConfig],
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    validation: Transitions | None = ...,
    model: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[FitProgress], None] | None = ...,
) -> list[TransitionResult]: ...


def fit_transition_model(
    env: envs.Environment | str,
    data: Transitions,
    config: TransitionModelConfig | Sequence[TransitionModelConfig] | None = None,
    seeds: Iterable[int] = range(16),
    run_dir: str | os.PathLike | None = None,
    *,
    validation: Transitions | None = None,
    model: keras.Model | None = None,
    resume: bool = False,
    on_progress: Callable[[FitProgress], None] | None = None,
) -> TransitionResult | list[TransitionResult]:
    """Learns one transition model per seed, up to 32 of them side by side in one compiled program.

    Every seed has initial weights of its own and sees the same data in an order of its own. The
    loss is that of the environment's `transition_head`. A seed's curve does not depend on the other
    seeds, and is the same at every run on the same machine and package versions.

    Args:
        env: The environment, or its name.
        data: The transitions to learn from. Those from terminal states are left out.
        config: Hyperparameters; the defaults if None. A list of configs trains every seed with each
            of them in the same program; they may differ in learning rate, annealing, Adam's
            constants and gradient norm.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        validation: Transitions that every seed is measured on after each epoch; None measures
            nothing but the training loss.
        model: Keras model to train instead of the one that `config` describes, called with
            `[observation, one-hot action]`. It serves as the architecture: every seed starts from
            fresh weights of its own.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
        on_progress: Called with a `FitProgress` every few seconds.

    Returns:
        A list for a list of configs, of results as for one: learning curves and weights of all
        seeds.

    Raises:
        ValueError: Before any work, if an argument breaks its rule, the data are not of this
            environment, the model does not fit it, or `run_dir` holds another run or a damaged one.
        NonFiniteError: If a seed's numbers become infinite or NaN; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint of the last finished epoch was written.
    """
    env = tensor_environment_of(env)
    config, configs = as_configs(config, TransitionModelConfig)
    check_transitions("data", data, env)
    if validation is not None:
        check_transitions("validation", validation, env)
    model = build_model(env, config) if model is None else model
    learner = TransitionLearner(env, config, model, data, validation)
    return train(learner, seeds, run_dir, configs=configs, resume=resume, on_progress=on_progress)


def build_model(
    env: envs.Environment, config: TransitionModelConfig, **options: Any
) -> keras.Model:
    """The model that a config describes.

    Args:
        env: The environment.
        config: The config.
        **options: Further arguments of `models.transition_model`.

    Raises:
        ValueError: As `models.transition_model` does.
    """
    head, change = env.transition_head, config.predict_change
    return models.transition_model(
        env.symmetry,
        config.kind,
        config.hidden_units,
        config.match_parameters,
        observation_shape=env.observation_shape,
        head=head,
        predict_change=isinstance(head, RealHead) if change is None else change,
        selection=config.selection,
        temperature=config.temperature,
        relaxation=config.relaxation(),
        **options,
    )
