"""`train_dyna`: agents that learn a model of the environment and plan in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import keras
import tensorflow as tf

from tf_equirl import envs, zoo
from tf_equirl._checks import within
from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dyna.learner import DynaLearner
from tf_equirl.dyna.progress import DynaProgress
from tf_equirl.dyna.result import DynaResult
from tf_equirl.dynamics.fit import build_model
from tf_equirl.dynamics.learner import check_transition_model
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.envs.registry import tensor_environment_of
from tf_equirl.training.members import as_configs
from tf_equirl.training.result import TrainingResult
from tf_equirl.training.run import train
from tf_equirl.training.saved import read_run
from tf_equirl.training.starting import start_of_training, weights_digest
from tf_equirl.zoo.store import ZooEntry


@overload
def train_dyna(
    env: envs.Environment | str,
    config: DynaConfig | None = ...,
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    critic: keras.Model | None = ...,
    frozen_model: str | keras.Model | None = ...,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = ...,
    start_seed: int | None = ...,
    resume: bool = ...,
    on_progress: Callable[[DynaProgress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> DynaResult: ...


@overload
def train_dyna(
    env: envs.Environment | str,
    config: Sequence[DynaConfig],
    seeds: Iterable[int] = ...,
    run_dir: str | os.PathLike | None = ...,
    *,
    actor: keras.Model | None = ...,
    critic: keras.Model | None = ...,
    frozen_model: str | keras.Model | None = ...,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = ...,
    start_seed: int | None = ...,
    resume: bool = ...,
    on_progress: Callable[[DynaProgress], bool | None] | None = ...,
    evaluate_every: int | None = ...,
    evaluation_episodes: int = ...,
    stop_at: float | None = ...,
) -> list[DynaResult]: ...


def train_dyna(
    env: envs.Environment | str,
    config: DynaConfig | Sequence[DynaConfig] | None = None,
    seeds: Iterable[int] = range(32),
    run_dir: str | os.PathLike | None = None,
    *,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
    frozen_model: str | keras.Model | None = None,
    start_from: str | os.PathLike | TrainingResult | ZooEntry | None = None,
    start_seed: int | None = None,
    resume: bool = False,
    on_progress: Callable[[DynaProgress], bool | None] | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    stop_at: float | None = None,
) -> DynaResult | list[DynaResult]:
    """Trains one Dyna agent per seed, up to 32 of them side by side in one compiled program.

    Dyna (Sutton, 1991) with PPO: act in the environment and update the policy, keep every
    transition, fit a transition model to them, make the same updates in episodes that the model
    imagines, repeat. Rewards and ends of imagined episodes come from the environment's own
    functions of the state. With `planning_ratio=0` it is `train_ppo`, to the last digit.

    Args:
        env: The environment, or its name. To plan in a model it must define `is_terminal`,
            `reward`, and `decode` or `state_from_observation`.
        config: Hyperparameters; the defaults if None. A list of configs trains every seed with each
            of them in the same program; they may differ in what the agent's and the model's
            optimisers are, and in discount, lambda, clipping and coefficients of the agent.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        actor: Policy network to train instead of the one that `config` describes. It serves as the
            architecture: every seed starts from fresh weights of its own.
        critic: Value network to train instead, likewise.
        frozen_model: A trained transition model to plan in, a Keras model or the name of one in the
            zoo ("Supervised-Dyna"). It is not trained further; `config.model` describes
            nothing then.
        start_from: Trained networks of the agent that every seed goes on from, see `train_ppo`.
        start_seed: Of a run or a result in `start_from`, see there.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
        on_progress: Called with a `DynaProgress` every few seconds; where it returns True the run
            stops.
        evaluate_every: Updates in the environment from one evaluation to the next, in which every
            seed plays greedy episodes in environments of their own; `result.evaluations` has their
            returns. Training is the same to the last bit without. None evaluates nothing.
        evaluation_episodes: How many a seed plays, the same ones at every evaluation: the first of
            those of `evaluation.evaluate(actor, env)`.
        stop_at: Stops the run where the mean over seeds reaches this return: that of the last
            evaluation, or without evaluations of the last finished episodes. A stopped run
            has `result.finished` False, and goes on if it is resumed without, or to a higher level.

    Returns:
        A list for a list of configs, of results as for one: learning curves, policies and
        transition models of all seeds.

    Raises:
        ValueError: Before any work, if an argument breaks its rule, a model does not fit the
            environment, or `run_dir` holds another run or a damaged one.
        NonFiniteError: If a seed's numbers become infinite or NaN; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C, after a checkpoint was written.
    """
    env = tensor_environment_of(env)
    config, configs = as_configs(config, DynaConfig)
    model, frozen = transition_model(env, config, frozen_model)
    start, actor, critic = start_of_training(start_from, start_seed, actor, critic)
    agent = config.agent.learner(env, actor, critic)
    agent.start_from = start
    learner = DynaLearner(agent, config, model, frozen)
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


def load_dyna_result(run_dir: str | os.PathLike, env: envs.Environment | None = None) -> Any:
    """The result of a run, curves and trained models, from its folder; nothing is written.

    Args:
        run_dir: Folder that `train_dyna` wrote.
        env: The environment, where the folder does not say how to make it: its class is none of a
            module, or its arguments are no plain values.

    Returns:
        The result up to the last checkpoint; `finished` says whether that is the run's end. A list
        of results for a run of a list of configs.

    Raises:
        ValueError: If the folder holds no run of `train_dyna`, or one of which nothing was saved
            yet, is damaged, or the environment is another one than the run's.
    """
    found = read_run(run_dir, DynaLearner.trainer, env)
    configs = found.configs(DynaConfig)
    config = configs[0]
    networks = found.networks
    agent = config.agent.learner(found.env, networks["actor"], networks.get("critic"))
    frozen = found.description["frozen_model"]
    return found.result(DynaLearner(agent, config, networks.get(ROLE), frozen), configs)


def transition_model(
    env: envs.Environment, config: DynaConfig, frozen_model: str | keras.Model | None = None
) -> tuple[keras.Model | None, str | None]:
    """The model that a run plans in, and what a frozen one is called.

    Args:
        env: The environment.
        config: Hyperparameters.
        frozen_model: See `train_dyna`.

    Returns:
        The model, None where planning is done in the environment itself; and a frozen one's name
        and what tells its weights apart, or None.

    Raises:
        ValueError: If the model cannot be built, or does not fit the environment, or the
            environment lacks what planning in a model needs.
    """
    if frozen_model is None and config.model is None:
        return None, None
    if config.planning_ratio:
        _check_planning(env)
    if frozen_model is None and config.model is not None:
        fitted = build_model(env, config.model)
        check_transition_model("model", env, fitted)
        return fitted, None
    if config.ensemble_size > 1:
        raise ValueError(
            "ensemble_size must be 1 with a frozen model. "
            f"Received: ensemble_size={config.ensemble_size}"
        )
    model: Any = frozen_model
    if isinstance(frozen_model, str):
        with within("frozen_model"):
            entry = zoo.load(frozen_model, must_be=zoo.TRANSITION_MODEL.text)
        trained_on = entry.card["environment"]["name"]
        if trained_on != env.name:
            raise ValueError(
                f"frozen_model must be a model of {env.name}. Received: "
                f"frozen_model={frozen_model!r}, a model of {trained_on}"
            )
        model = entry.transition_model
    check_transition_model("frozen_model", env, model, trained=False)
    # Not its name: Keras numbers models anew in every process.
    name = frozen_model if isinstance(frozen_model, str) else "a Keras model"
    return model, f"{name}, weights {weights_digest(model)}"


def _check_planning(env: envs.Environment) -> None:
    """Tries what planning needs of an environment on one of its states."""
    state = env.initial_state(tf.zeros([1, env.num_uniforms]))
    following = env.decode(env.encode(state))
    env.is_terminal(following)
    env.reward(state, tf.zeros([1], tf.int32), following)
