"""`train_ppo`: agents of many seeds, side by side; and their results, read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import keras

from tf_equirl import envs
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.learner import PPOLearner
from tf_equirl.envs.registry import environment_of
from tf_equirl.training.members import as_configs
from tf_equirl.training.progress import Progress
from tf_equirl.training.result import TrainingResult
from tf_equirl.training.run import train
from tf_equirl.training.saved import read_run
from tf_equirl.training.starting import start_of_training
from tf_equirl.zoo.store import ZooEntry


@overload
def train_ppo(
    env: envs.BaseEnvironment | str,
    config: PPOConfig | None = ...,
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    critic: keras.Model | None = ...,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = ...,
    start_seed: int | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> TrainingResult: ...


@overload
def train_ppo(
    env: envs.BaseEnvironment | str,
    config: Sequence[PPOConfig],
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    critic: keras.Model | None = ...,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = ...,
    start_seed: int | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> list[TrainingResult]: ...


def train_ppo(
    env: envs.BaseEnvironment | str,
    config: PPOConfig | Sequence[PPOConfig] | None = None,
    seeds: Iterable[int] = range(128),
    run_dir: str | os.PathLike | None = None,
    *,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = None,
    start_seed: int | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], bool | None] | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    stop_at: float | None = None,
) -> TrainingResult | list[TrainingResult]:
    """Trains one PPO agent per seed, up to 32 of them side by side in one compiled program.

    PPO is Schulman et al. (2017) with tf-agents' loss. A seed's curve does not depend on the other
    seeds, and is the same at every run on the same machine and package versions.

    Args:
        env: The environment, or its name.
        config: Hyperparameters; the defaults if None. A list of configs trains every seed with each
            of them in the same program; they may differ in learning rate, annealing, Adam's
            constants, gradient norm, discount, lambda, clipping and the coefficients of the loss.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        actor: Policy network to train instead of the one that `config` describes. It serves as the
            architecture: every seed starts from fresh weights of its own.
        critic: Value network to train instead, likewise.
        start_from: Trained networks that every seed goes on from, with a new optimiser: the name of
            a model in the zoo (`tf_equirl.zoo.list()`), or the path of its folder in a zoo of your
            own, or what `zoo.load` gives; a run folder, or a result; or a `.keras` file, an actor
            beside which the critic is new. `config` then says nothing about the networks that it
            brings.
        start_seed: The seed of a run or a result in `start_from`; None takes the best, see
            `TrainingResult.best_seed`.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
        on_progress: Called with a `Progress` about once a second; where it returns True the run
            stops.
        evaluate_every: Updates from one evaluation to the next, in which every seed plays greedy
            episodes in environments of their own; `result.evaluations` has their returns. Training
            is the same to the last bit without. None evaluates nothing.
        evaluation_episodes: How many a seed plays, the same ones at every evaluation: the first of
            those of `evaluation.evaluate(actor, env)`.
        stop_at: Stops the run where the mean over seeds reaches this return: that of the last
            evaluation, or without evaluations of the last finished episodes. A stopped run
            has `result.finished` False, and goes on if it is resumed without, or to a higher level.

    Returns:
        A list for a list of configs, of results as for one: learning curves and weights of all
        seeds.

    Raises:
        ValueError: Before any work, if an argument breaks its rule, a model does not fit the
            environment, or `run_dir` holds another run or a damaged one.
        NonFiniteError: If a seed's numbers become infinite or NaN; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint was written.
    """
    env = environment_of(env)
    config, configs = as_configs(config, PPOConfig)
    start, actor, critic = start_of_training(start_from, start_seed, actor, critic)
    learner = PPOLearner(env, config, *config.networks(env, actor, critic))
    learner.start_from = start
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


def load_result(run_dir: str | os.PathLike, env: envs.BaseEnvironment | None = None) -> Any:
    """The result of a run, curves and trained models, from its folder; nothing is written.

    Args:
        run_dir: Folder that `train_ppo` wrote.
        env: The environment, where the folder does not say how to make it: its class is none of a
            module, or its arguments are no plain values.

    Returns:
        The result up to the last checkpoint; `finished` says whether that is the run's end. A list
        of results for a run of a list of configs.

    Raises:
        ValueError: If the folder holds no run of `train_ppo`, or one of which nothing was saved
            yet, is damaged, or the environment is another one than the run's.
    """
    found = read_run(run_dir, PPOLearner.trainer, env)
    configs = found.configs(PPOConfig)
    learner = PPOLearner(found.env, configs[0], **found.networks)
    return found.result(learner, configs)
