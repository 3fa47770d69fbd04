"""`train_sac`: agents of many seeds, side by side; and their results, read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import keras

from tf_equirl import envs
from tf_equirl._checks import instance
from tf_equirl.agents.sac.config import SACConfig
from tf_equirl.agents.sac.gradient_steps import ACTOR, CRITICS
from tf_equirl.agents.sac.learner import SACLearner
from tf_equirl.agents.sac.result import SACResult
from tf_equirl.envs.registry import environment_of
from tf_equirl.training.members import as_configs
from tf_equirl.training.progress import Progress
from tf_equirl.training.run import train
from tf_equirl.training.saved import read_run


@overload
def train_sac(
    env: envs.BaseEnvironment | str,
    config: SACConfig | None = ...,
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    q_function: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> SACResult: ...


@overload
def train_sac(
    env: envs.BaseEnvironment | str,
    config: Sequence[SACConfig],
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    q_function: keras.Model | None = ...,
    resume: bool = ...,
    on_progress: Callable[[Progress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> list[SACResult]: ...


def train_sac(
    env: envs.BaseEnvironment | str,
    config: SACConfig | Sequence[SACConfig] | None = None,
    seeds: Iterable[int] = range(32),
    run_dir: str | os.PathLike | None = None,
    *,
    actor: keras.Model | None = None,
    q_function: keras.Model | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], bool | None] | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    stop_at: float | None = None,
) -> SACResult | list[SACResult]:
    """Trains one soft actor-critic agent per seed, up to 32 of them side by side.

    SAC is Haarnoja et al. (2018, arXiv 1812.05905): a squashed Gaussian policy, two critics with
    targets that follow, and a temperature that is learned. In an environment of functions of
    tensors all seeds are trained in one compiled program; one that is stepped on the host is
    stepped between compiled programs that act and learn. A seed's curve does not depend on the
    other seeds, and is the same at every run on the same machine and package versions. Curves are
    those of the policy that acts, with its noise.

    Args:
        env: The environment, or its name: one with actions in a box of finite bounds that policies
            are squashed into, such as `envs.make("Pendulum-v1", policy="squashed_gaussian")`.
        config: Hyperparameters; the defaults if None. A list of configs trains every seed with each
            of them in the same program; they may differ in learning rates, annealing, Adam's
            constants, gradient norm, discount, tau, initial temperature and target entropy.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        actor: Policy network to train instead of the one that `config` describes. It serves as the
            architecture: every seed starts from fresh weights of its own.
        q_function: Likewise that of both critics, from `[observation, action]` to `[batch, 1]`.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run, but
            on the host, where the episodes that were under way begin anew.
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
        ValueError: Before any work, if an argument breaks its rule, the environment's actions are
            not such, a model does not fit it, the replay buffers of all seeds are larger than the
            memory that is free, or `run_dir` holds another run or a damaged one.
        NonFiniteError: If a seed's numbers become infinite or NaN; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint was written.
    """
    env = environment_of(env)
    config, configs = as_configs(config, SACConfig)
    for name, model in (("actor", actor), ("q_function", q_function)):
        if model is not None:
            instance(name, model, keras.Model, "a Keras 3 model, or None for the config's")
    learner = config.learner(env, actor, q_function)
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


def load_sac_result(run_dir: str | os.PathLike, env: envs.BaseEnvironment | None = None) -> Any:
    """The result of a run, curves and trained models, from its folder; nothing is written.

    Args:
        run_dir: Folder that `train_sac` wrote.
        env: The environment, where the folder does not say how to make it: its class is none of a
            module, or its arguments are no plain values.

    Returns:
        The result up to the last checkpoint; `finished` says whether that is the run's end. A list
        of results for a run of a list of configs.

    Raises:
        ValueError: If the folder holds no run of `train_sac`, or one of which nothing was saved
            yet, is damaged, or the environment is another one than the run's.
    """
    found = read_run(run_dir, SACLearner.trainer, env)
    configs = found.configs(SACConfig)
    learner = SACLearner(found.env, configs[0], found.networks[ACTOR], found.networks[CRITICS[0]])
    return found.result(learner, configs)
