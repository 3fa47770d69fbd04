"""From a finished run to a model in the zoo."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_equirl import envs, evaluation, zoo
from tf_equirl._checks import positive_integer
from tf_equirl.agents import PPOConfig, TrainingResult, load_result
from tf_equirl.agents.run_folder import read_description
from tf_equirl.experiments.metrics import area_under_curve
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.experiments.statistics import mean_and_error
from tf_equirl.models.widths import trained_parameters
from tf_equirl.zoo.records import file_record

RULE = (
    "the best of all seeds: the highest mean return over the last tenth of training, among equals "
    "the largest area under the learning curve. The evaluation is of fresh episodes."
)
_EVALUATION_SEED = 20_000_001  # of episodes that no training run with a usual seed has seen
_GOLDEN = 64
_STATES = 1000
_FRAMES = 200
_KINDS = {
    "mlp": "An MLP",
    "gcnn": "A group-convolutional",
    "odd": "An odd (tanh, no bias)",
    "symmetrizer": "A Symmetrizer (MDP homomorphic network)",
    "symmetrizer-sampled": "A Symmetrizer (MDP homomorphic network, sampled bases)",
}


def publish(
    run_dir: str | os.PathLike,
    name: str,
    success: float,
    zoo_dir: str | os.PathLike = "zoo",
    episodes: int = 1000,
    description: str | None = None,
    limits: Sequence[str] = (),
    env: envs.Environment | None = None,
) -> Path:
    """Writes `<zoo_dir>/<name>` from a finished run: models, card, checksums, curve, film.

    Of the run's seeds one is kept, by `RULE`. Its greedy and its sampled policy are evaluated on
    fresh episodes. The folder appears whole or not at all; a model of the same name is replaced.

    Args:
      run_dir: folder of a finished run of `train_ppo`.
      name: lower-case words joined by hyphens.
      success: return from which on an episode counts as a success.
      zoo_dir: the zoo's folder; its `index.json` is written anew.
      episodes: episodes of each evaluation.
      description: one sentence; made up from the configuration if None.
      limits: sentences on what the model cannot do, beside those that are true of every model.
      env: the environment, where its registered name alone does not make it.

    Returns:
      The model's folder.

    Raises:
      ValueError: if an argument breaks its rule, or the folder holds no finished run.
    """
    if not isinstance(name, str) or not zoo.NAME.fullmatch(name):
        raise ValueError(f"`name` must be lower-case words joined by hyphens. Received: {name!r}")
    episodes = positive_integer("episodes", episodes)
    if isinstance(success, bool) or not math.isfinite(success):
        raise ValueError(f"`success` must be a finite number. Received: success={success!r}")
    description_of_run = read_description(Path(run_dir))
    env = envs.make(description_of_run["environment"]) if env is None else env
    result = load_result(run_dir, env)
    row = best_seed(result)
    seed = result.seeds[row]
    networks = {"actor": result.actor(seed), "critic": result.critic(seed)}
    zoo_dir = Path(zoo_dir)
    zoo_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=zoo_dir, prefix=".") as temporary:
        place = Path(temporary) / name
        place.mkdir()
        for role, network in networks.items():
            network.save(place / f"{role}.keras")
        _write_golden(place / "golden.npz", networks, env)
        _draw(place / "learning_curve.png", result, seed)
        _film(place / "episode.gif", networks["actor"], env)
        card = {
            "format": 1,
            "name": name,
            "description": description or _description(env, result.config),
            "use": f"A trained policy for {env.name} to deploy, to compare with, or to train "
            f"further; its critic gives the values that training ended with.",
            "environment": {
                "name": env.name,
                "gymnasium_id": f"tf_equirl/{env.name}-v{env.version}",
                "config": env.get_config(),
            },
            "symmetry": {
                "group": env.symmetry.group.name,
                **env.symmetry_in_words,
                "data": env.symmetry.get_config(),
            },
            "networks": {
                role: _network(network, getattr(result.config, role), meaning)
                for (role, network), meaning in zip(
                    networks.items(), ("logits of the actions", "value of the state"), strict=True
                )
            },
            "config": result.config.to_json(),
            "training": _training(result, seed, name, success, episodes, description_of_run),
            "evaluation": {
                kind: _evaluation(networks["actor"], env, episodes, kind == "greedy", success)
                for kind in ("greedy", "sampled")
            },
            "equivariance": {
                "states": _STATES,
                **{role: _equivariance(network, env) for role, network in networks.items()},
            },
            "licence": "Apache-2.0",
            "limits": [
                f"Trained and evaluated on {env.name} with the settings above only.",
                "The best of its seeds: one that is trained anew is worse on average.",
                *limits,
            ],
        }
        card["files"] = {file.name: file_record(file) for file in sorted(place.iterdir())}
        zoo.validate_card(card)
        (place / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        zoo.write_readme(place)
        published = zoo_dir / name
        if published.exists():
            shutil.rmtree(published)
        place.rename(published)
    zoo.write_index(zoo_dir)
    return published


def best_seed(result: TrainingResult) -> int:
    """Row of the seed that `RULE` keeps."""
    last = result.returns[:, -max(1, result.returns.shape[1] // 10) :].mean(axis=1, dtype=float)
    return int(np.lexsort((-area_under_curve(result), -np.round(last, 6)))[0])


def training_command(env: str, config: PPOConfig, seeds: Sequence[int], run_dir: str) -> str:
    """The command line that makes a run.

    Raises:
      ValueError: unless the seeds are consecutive, as the launcher's are.
    """
    if list(seeds) != list(range(seeds[0], seeds[0] + len(seeds))):
        raise ValueError(f"seeds must be consecutive integers. Received: seeds={list(seeds)}")
    flags = [f"--env={env}", f"--num_seeds={len(seeds)}"]
    if seeds[0]:
        flags.append(f"--first_seed={seeds[0]}")
    for field in dataclasses.fields(PPOConfig):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        if isinstance(value, bool):
            flags.append(f"--{'' if value else 'no'}{field.name}")
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            flags.append(f"--{field.name}={text}")
    return " ".join(["python -m launchers.train_ppo", *flags, f"--run_dir={run_dir}"])


def _description(env: envs.Environment, config: PPOConfig) -> str:
    known = "" if config.actor == "mlp" else f" that knows {env.name}'s symmetry"
    return f"{_KINDS[config.actor]} policy for {env.name}{known}, trained with PPO."


def _network(network: keras.Model, kind: str, meaning: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "class": "Keras functional model",
        "parameters": trained_parameters(network),
        "input_shape": list(network.input_shape[1:]),
        "output_shape": list(network.output_shape[1:]),
        "meaning": meaning,
    }


def _training(
    result: TrainingResult,
    seed: int,
    name: str,
    success: float,
    episodes: int,
    description: dict[str, Any],
) -> dict[str, Any]:
    last = result.returns[:, -max(1, result.returns.shape[1] // 10) :].mean(axis=1, dtype=float)
    mean, two_errors = mean_and_error(last)
    run_dir = f"runs/{name}"
    command = f"python -m launchers.publish --run_dir={run_dir} --name={name} --success={success:g}"
    return {
        "seeds": list(result.seeds),
        "num_seeds": len(result.seeds),
        "kept_seed": seed,
        "rule": RULE,
        "timesteps": result.config.num_updates * result.config.batch_size,
        "mean_return": mean,
        "mean_return_of": "the last tenth of training, all seeds",
        "standard_error": None if math.isnan(two_errors) else two_errors / 2,
        "command": training_command(result.environment, result.config, result.seeds, run_dir),
        "publish_command": command + (f" --episodes={episodes}" if episodes != 1000 else ""),
        "git_commit": description["git_commit"],
        "versions": description["versions"],
    }


def _evaluation(
    actor: keras.Model, env: envs.Environment, episodes: int, greedy: bool, success: float
) -> dict[str, Any]:
    scores = evaluation.evaluate(actor, env, episodes, greedy, _EVALUATION_SEED)
    return {
        "episodes": episodes,
        "seed": _EVALUATION_SEED,
        "mean": scores.mean,
        "standard_error": 0.0 if episodes == 1 else scores.standard_error,
        "minimum": scores.minimum,
        "maximum": scores.maximum,
        "success_rate": scores.success_rate(success),
        "success": f"return of at least {success:g}",
    }


def _equivariance(network: keras.Model, env: envs.Environment) -> dict[str, float]:
    error = evaluation.model_equivariance_error(network, env, _STATES)
    return {"max": error.max, "mean": error.mean}


def _write_golden(file: Path, networks: dict[str, keras.Model], env: envs.Environment) -> None:
    observations = evaluation.visited_observations(env, _GOLDEN, seed=1)
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
    plot_learning_curves({"all seeds": result, f"seed {seed}, kept": kept}, file, title)


def _film(file: Path, actor: keras.Model, env: envs.Environment) -> None:
    """Short episodes one after the other, or the start of a long one: 200 frames."""
    frames: list[Any] = []
    seed = 0
    while len(frames) < _FRAMES:
        frames += evaluation.record(actor, env, seed).frames
        seed += 1
        if seed == 5:
            break
    evaluation.write_gif(frames[:_FRAMES], file, min(env.render_fps, 50))
