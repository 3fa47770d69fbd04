"""From a finished run of PPO to a policy in the zoo."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_equirl import agents, envs, evaluation, models, zoo
from tf_equirl._checks import positive_integer
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.publishing.entry import (
    EVALUATION_SEED,
    GOLDEN,
    check_arguments,
    check_environment,
    check_network,
    check_result,
    check_run,
    config_flags,
    environment_fields,
    environment_flags,
    network_fields,
    of_own_zoo,
    seed_flags,
    training_fields,
    write_entry,
    zoo_flags,
)
from tf_equirl.training.result import final_returns
from tf_equirl.training.run_folder import environment_again, read_description

RULE = (
    "the best of all seeds: the highest mean return over the last tenth of training, among equals "
    "the largest area under the learning curve. The evaluation is of fresh episodes."
)
_STATES = 1000
_FRAMES = 200
_EPISODES_IN_FILM = 5
_KINDS = {
    "mlp": "An MLP",
    "cnn": "A convolutional",
    "gcnn": "A group-convolutional",
    "odd": "An odd (tanh, no bias)",
    "symmetrizer": "A Symmetrizer (MDP homomorphic network)",
    "symmetrizer-sampled": "A Symmetrizer (MDP homomorphic network, sampled bases)",
    "symmetrizer-random": "A random-basis (the Symmetrizer's control)",
    "relaxed": "A relaxed group-convolutional",
    "rpp": "A group-convolutional (with residual pathways)",
}
_KNOWS_NOTHING = ("mlp", "cnn", "symmetrizer-random")


def publish(
    run_dir: str | os.PathLike,
    name: str,
    success: float,
    zoo_dir: str | os.PathLike = "zoo",
    episodes: int = 1000,
    description: str | None = None,
    limits: Sequence[str] = (),
    licence: str | None = None,
    env: envs.BaseEnvironment | None = None,
) -> Path:
    """Writes `<zoo_dir>/<name>` from a finished run: models, card, checksums, curve, film.

    There is no film of an environment without pictures, nor of one that cannot draw them on this
    machine, which is told by a warning.
    Of the run's seeds one is kept, by `RULE`. Its greedy and its sampled policy are evaluated on
    fresh episodes. The folder appears whole or not at all; a model of the same name is replaced.

    Args:
        run_dir: Folder of a finished run of `train_ppo`.
        name: Lower-case words joined by hyphens.
        success: Return from which on an episode counts as a success.
        zoo_dir: The zoo's folder; its `index.json` is written anew.
        episodes: Episodes of each evaluation.
        description: One sentence; made up from the configuration if None.
        limits: Sentences on what the model cannot do, beside those that are true of every model.
        licence: A line; None is that of tf_equirl in its own zoo, and none is stated in another.
        env: The environment, where the folder does not say how to make it.

    Returns:
        The model's folder.

    Raises:
        ValueError: If an argument breaks its rule, the folder holds no finished run, or one of
            networks that are not the configuration's.
    """
    check_arguments(name, description, limits)
    of_own_zoo(zoo_dir, licence)
    episodes = positive_integer("episodes", episodes)
    number = isinstance(success, int | float) and not isinstance(success, bool)
    if not number or not math.isfinite(success):
        raise ValueError(f"`success` must be a finite number. Received: success={success!r}")
    check_run(run_dir, zoo.POLICY)
    description_of_run = read_description(run_dir, "train_ppo")
    env = environment_again(description_of_run) if env is None else env
    check_environment(env)
    result = agents.load_result(run_dir, env)
    check_result(result, final_returns(result.returns))
    start_from = description_of_run["start_from"]
    if start_from is not None and not zoo.NAME.fullmatch(start_from):
        raise ValueError(
            "run_dir must hold a run that started from new networks or from a model that comes "
            "with tf_equirl, so that the card's command can make it again. Received: "
            f"run_dir={run_dir}, which started from {start_from}"
        )
    config = result.config if start_from is None else config_of(start_from)
    _check_networks(env, config, description_of_run)
    seed = result.best_seed
    networks = {"actor": result.actor(seed), "critic": result.critic(seed)}

    def write(place: Path) -> dict[str, Any]:
        for role, network in networks.items():
            models.save(network, place / f"{role}.keras")
        _write_golden(place / "golden.npz", networks, env)
        _draw(place / "learning_curve.png", result, seed)
        if "rgb_array" in env.render_modes:
            try:
                _film(place / "episode.gif", networks["actor"], env)
            except evaluation.CannotDraw as error:
                warnings.warn(f"{name} is published without a film: {error}", stacklevel=2)
        return {
            "format": 1,
            "type": zoo.POLICY.text,
            "name": name,
            "description": description or _description(env, config, start_from),
            "use": f"A trained policy for {env.name} to deploy, to compare with, or to train "
            f"further; its critic gives the values that training ended with.",
            **environment_fields(env),
            "networks": {
                role: network_fields(network, getattr(config, role), meaning)
                for (role, network), meaning in zip(
                    networks.items(),
                    (f"{env.action_distribution.outputs} of the actions", "value of the state"),
                    strict=True,
                )
            },
            "config": result.config.to_json(),
            "training": _training(
                env, result, seed, name, success, episodes, description_of_run, zoo_flags(zoo_dir)
            ),
            "evaluation": {
                kind: _evaluation(networks["actor"], env, episodes, kind == "greedy", success)
                for kind in ("greedy", "sampled")
            },
            "equivariance": {
                "states": _STATES,
                **{
                    role: equivariance_fields(network, env, _STATES)
                    for role, network in networks.items()
                },
            },
            **of_own_zoo(zoo_dir, licence),
            "limits": _limits(env, config, len(result.seeds), limits),
        }

    return write_entry(zoo_dir, name, write)


def training_command(
    env: envs.BaseEnvironment,
    config: PPOConfig,
    seeds: Sequence[int],
    run_dir: str,
    start_from: str | None = None,
) -> str:
    """The command line that makes a run.

    Raises:
        ValueError: Unless the seeds are consecutive, as the launcher's are.
    """
    start = [] if start_from is None else [f"--start_from={start_from}"]
    flags = [*environment_flags(env), *seed_flags(seeds), *start, *config_flags(config)]
    return " ".join(["python -m launchers.train_ppo", *flags, f"--run_dir={run_dir}"])


def _description(env: envs.BaseEnvironment, config: PPOConfig, start_from: str | None) -> str:
    known = "" if config.actor in _KNOWS_NOTHING else f" that knows {env.name}'s symmetry"
    if config.actor in models.RELAXED_KINDS:
        known = f" that began with {env.name}'s symmetry"
    further = "" if start_from is None else f", going on from {start_from}"
    return f"{_KINDS[config.actor]} policy for {env.name}{known}, trained with PPO{further}."


def config_of(start_from: str) -> PPOConfig:
    """The configuration that describes a zoo model's networks.

    Raises:
        ValueError: If there is no such model, or it goes on from itself by way of others.
    """
    seen: list[str] = []
    name: str | None = start_from
    while name is not None:
        if name in seen:
            raise ValueError(
                "a model must not be what its own training started from. Received: "
                f"start_from={start_from!r}, trained from {', '.join(map(repr, seen))}"
            )
        seen.append(name)
        card = zoo.card(name)
        name = card["training"].get("start_from")
    return PPOConfig.from_json(card["config"])


def _check_networks(
    env: envs.BaseEnvironment, config: PPOConfig, description: dict[str, Any]
) -> None:
    """Raises a ValueError unless a run's networks are those that `config` describes."""
    for role, network in zip(("actor", "critic"), config.networks(env), strict=True):
        check_network(role, network, description["models"][role])


def _limits(
    env: envs.BaseEnvironment, config: PPOConfig, seeds: int, limits: Sequence[str]
) -> list[str]:
    sentences = [
        f"Trained and evaluated on {env.name} with the settings above only; what it does in states "
        f"that those episodes do not reach is not known."
    ]
    if seeds > 1:
        sentences.append("The best of its seeds: one that is trained anew is worse on average.")
    if config.actor in _KNOWS_NOTHING:
        sentences.append("The actor is not equivariant: mirrored states may get other actions.")
    if config.actor in models.RELAXED_KINDS:
        sentences.append(
            "The actor need not be equivariant: it began so, and may have learned to be less."
        )
    if config.critic in _KNOWS_NOTHING:
        sentences.append("The critic is not invariant.")
    if config.critic in models.RELAXED_KINDS:
        sentences.append(
            "The critic need not be invariant: it began so, and may have learned to be less."
        )
    return [*sentences, *limits]


def _training(
    env: envs.BaseEnvironment,
    result: TrainingResult,
    seed: int,
    name: str,
    success: float,
    episodes: int,
    description: dict[str, Any],
    of_zoo: Sequence[str],
) -> dict[str, Any]:
    run_dir = f"runs/{name}"
    command = f"python -m launchers.publish --run_dir={run_dir} --name={name} --success={success}"
    start_from = description["start_from"]
    return {
        **training_fields(
            result.seeds, seed, RULE, "mean_return", final_returns(result.returns), description
        ),
        "mean_return_of": "the last tenth of training, all seeds",
        "start_from": start_from,
        "timesteps": result.config.num_updates * result.config.batch_size,
        "command": training_command(env, result.config, result.seeds, run_dir, start_from),
        "publish_command": " ".join(
            [command, *of_zoo, *([f"--episodes={episodes}"] if episodes != 1000 else [])]
        ),
    }


def _evaluation(
    actor: keras.Model, env: envs.BaseEnvironment, episodes: int, greedy: bool, success: float
) -> dict[str, Any]:
    scores = evaluation.evaluate(actor, env, episodes, greedy, EVALUATION_SEED)
    return {
        "episodes": episodes,
        "seed": EVALUATION_SEED,
        "mean": scores.mean,
        "standard_error": 0.0 if episodes == 1 else scores.standard_error,
        "minimum": scores.minimum,
        "maximum": scores.maximum,
        "success_rate": scores.success_rate(success),
        "success": f"return of at least {success}",
    }


def equivariance_fields(
    network: keras.Model, env: envs.BaseEnvironment, states: int
) -> dict[str, float]:
    """What the field `equivariance` of a card says of an actor or a critic."""
    error = evaluation.model_equivariance_error(network, env, states)
    return {"max": error.max, "mean": float(np.mean(error.per_element[1:]))}  # 0 is the identity


def _write_golden(file: Path, networks: dict[str, keras.Model], env: envs.BaseEnvironment) -> None:
    observations = evaluation.visited_observations(env, GOLDEN, seed=1)
    logits, values = (
        keras.ops.convert_to_numpy(network(observations)) for network in networks.values()
    )
    np.savez(file, observations=observations, logits=logits, values=values)


def _draw(file: Path, result: TrainingResult, seed: int) -> None:
    row = result.seeds.index(seed)
    kept = dataclasses.replace(
        result,
        seeds=(seed,),
        returns=result.returns[row : row + 1],
        first_returns=result.first_returns[row : row + 1],
    )
    title = f"{result.environment}, PPO, actor {result.config.actor}"
    plot_learning_curves({"run": result, f"seed {seed}, kept": kept}, file, title)


def _film(file: Path, actor: keras.Model, env: envs.BaseEnvironment) -> None:
    """A few short episodes one after the other, or the start of a long one."""
    frames: list[Any] = []
    for seed in range(_EPISODES_IN_FILM):
        if len(frames) < _FRAMES:
            frames += evaluation.record(actor, env, seed).frames
    evaluation.write_gif(frames[:_FRAMES], file, min(env.render_fps, 50))
