"""`train_dqn`: agents of many seeds, side by side; and their results, read again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import keras

from tf_equirl import envs
from tf_equirl.agents.dqn.config import DQNConfig
from tf_equirl.agents.dqn.learner import DQNLearner
from tf_equirl.agents.dqn.result import DQNResult
from tf_equirl.envs.registry import environment_of
from tf_equirl.training.members import as_configs
from tf_equirl.training.progress import Progress
from tf_equirl.training.run import train
from tf_equirl.training.saved import read_run


@overload
def train_dqn(
    env: envs.BaseEnvironment | str,
    config: DQNConfig | None = ...,
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    q_function: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> DQNResult: ...


@overload
def train_dqn(
    env: envs.BaseEnvironment | str,
    config: Sequence[DQNConfig],
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    q_function: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> list[DQNResult]: ...


def train_dqn(
    env: envs.BaseEnvironment | str,
    config: DQNConfig | Sequence[DQNConfig] | None = None,
    seeds: Iterable[int] = range(32),
    run_dir: str | os.PathLike | None = None,
    *,
    q_function: keras.Model | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], bool | None] | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    stop_at: float | None = None,
) -> DQNResult | list[DQNResult]:
    """Trains one double DQN agent per seed, up to 32 of them side by side in one compiled program.

    DQN is Mnih et al. (2015), double van Hasselt et al. (2016), with n-step returns (Hessel et al.,
    2018). A seed's curve does not depend on the other seeds, and is the same at every run on the
    same machine and package versions. Curves are those of the epsilon-greedy policy that acts.

    Args:
        env: The environment, or its name: one of functions of tensors, with discrete actions.
        config: Hyperparameters; the defaults if None. A list of configs trains every seed with each
            of them in the same program; they may differ in learning rate, annealing, Adam's
            constants, gradient norm, discount, the Huber loss' delta and what epsilon is when.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        q_function: Network of values to train instead of the one that `config` describes. It serves
            as the architecture: every seed starts from fresh weights of its own.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
        on_progress: Called with a `Progress` about once a second; where it returns True the run
            stops.
        evaluate_every: Updates from one evaluation to the next, in which every seed plays greedy
            episodes in environments of their own; `result.evaluations` has their returns. Training
            is the same to the last bit without. None evaluates nothing.
        evaluation_episodes: How many a seed plays, the same ones at every evaluation: the first of
            those of `evaluation.evaluate(q_function, env)`.
        stop_at: Stops the run where the mean over seeds reaches this return: that of the last
            evaluation, or without evaluations of the last finished episodes. A stopped run
            has `result.finished` False, and goes on if it is resumed without, or to a higher level.

    Returns:
        A list for a list of configs, of results as for one: learning curves and weights of all
        seeds.

    Raises:
        ValueError: Before any work, if an argument breaks its rule, the environment is stepped on
            the host or has continuous actions, the model does not fit it, the replay buffers of all
            seeds are larger than the memory that is free, or `run_dir` holds another run or a
            damaged one.
        NonFiniteError: If a seed's numbers become infinite or NaN; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint was written.

    Warns:
        UserWarning: Where epsilon is still on its way when the run ends.
    """
    env = environment_of(env)
    config, configs = as_configs(config, DQNConfig)
    if q_function is not None and not isinstance(q_function, keras.Model):
        raise ValueError(
            "`q_function` must be a Keras 3 model, or None for the one that config describes. "
            f"Received: q_function of type {type(q_function).__name__}"
        )
    learner = config.learner(env, q_function)
    for each in configs or (config,):
        _warn_of_exploration(each)
    return train(
        learner,
        seeds,
        run_dir,
        configs=configs,
        resume=resume,
        on_progress=on_progress,
        evaluate_every=evaluate_every,
        evaluation_episodes=evaluation_episodes,
        stop_at=stop_at,
    )


def load_dqn_result(run_dir: str | os.PathLike, env: envs.BaseEnvironment | None = None) -> Any:
    """The result of a run, curves and trained models, from its folder; nothing is written.

    Args:
        run_dir: Folder that `train_dqn` wrote.
        env: The environment, where the folder does not say how to make it: its class is none of a
            module, or its arguments are no plain values.

    Returns:
        The result up to the last checkpoint; `finished` says whether that is the run's end. A list
        of results for a run of a list of configs.

    Raises:
        ValueError: If the folder holds no run of `train_dqn`, or one of which nothing was saved
            yet, is damaged, or the environment is another one than the run's.
    """
    found = read_run(run_dir, DQNLearner.trainer, env)
    configs = found.configs(DQNConfig)
    learner = DQNLearner(found.env, configs[0], **found.networks)
    return found.result(learner, configs)


def _warn_of_exploration(config: DQNConfig) -> None:
    length = config.num_updates * config.update_timesteps
    if config.epsilon_steps > length and config.epsilon_start > config.epsilon_end:
        warnings.warn(
            f"the run of {length:,} timesteps ends before its {config.epsilon_decay} schedule of "
            f"epsilon has run down (epsilon_steps={config.epsilon_steps:,}): epsilon is "
            f"{config.epsilon(length):.2g} then, not {config.epsilon_end:.2g}",
            stacklevel=3,
        )
