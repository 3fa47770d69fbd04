"""From a finished run of `fit_transition_model` to a transition model in the zoo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_equirl import envs, evaluation, models, zoo
from tf_equirl._checks import positive_integer
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.fit import build_model
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.dynamics.result import load_transition_result
from tf_equirl.experiments.plots import plot_training
from tf_equirl.models import RELAXED_KINDS
from tf_equirl.models.actor import UNCONSTRAINED
from tf_equirl.models.heads import CategoricalHead, Head
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
from tf_equirl.publishing.transition_scores import evaluate_transition_model, measure_equivariance
from tf_equirl.training.run_folder import environment_again, read_description

RULE = (
    "the best of all seeds: the lowest error on the validation set after the last epoch. The "
    "evaluation is of fresh transitions."
)
_STARTS = 1000
_KINDS = {
    "mlp": "An MLP",
    "cnn": "A convolutional network",
    "gcnn-proximal": "A group-convolutional network with proximal pooling",
    "gcnn-averaged": "A group-convolutional network with averaged images",
    "gcnn-readout": "A group-convolutional network with an equivariant readout",
    "relaxed": "A relaxed group-convolutional network",
    "rpp": "A group-convolutional network with residual pathways",
}


def publish_transition_model(
    run_dir: str | os.PathLike,
    name: str,
    zoo_dir: str | os.PathLike = "zoo",
    transitions: int = 10_000,
    description: str | None = None,
    limits: Sequence[str] = (),
    licence: str | None = None,
    env: envs.Environment | None = None,
) -> Path:
    """Writes `<zoo_dir>/<name>` from a finished run: model, card, checksums, training curve.

    Of the run's seeds one is kept, by `RULE`. It is evaluated on fresh transitions, one and
    several steps ahead, and its equivariance is measured. The folder appears whole or not at all;
    a model of the same name is replaced.

    Args:
        run_dir: Folder of a finished run of `fit_transition_model`, with validation data, whose
            data came from `dyna.make_dataset`.
        name: Lower-case words joined by hyphens.
        zoo_dir: The zoo's folder; its `index.json` is written anew.
        transitions: Number of fresh transitions.
        description: One sentence; made up from the configuration if None.
        limits: Sentences on what the model cannot do, beside those that are true of every model.
        licence: A line; None is that of tf_equirl in its own zoo, and none is stated in another.
        env: The environment, where the folder does not say how to make it.

    Returns:
        The model's folder.

    Raises:
        ValueError: If an argument breaks its rule, the folder holds no finished run, or one that no
            command of the launcher makes: of another network than the configuration's, or on data
            of another origin.
    """
    check_arguments(name, description, limits)
    of_own_zoo(zoo_dir, licence)
    transitions = positive_integer("transitions", transitions)
    check_run(run_dir, zoo.TRANSITION_MODEL)
    run = read_description(run_dir, "fit_transition_model")
    env = environment_again(run) if env is None else env
    check_environment(env)
    config = TransitionModelConfig.from_json(run["config"])
    check_network("transition model", build_model(env, config), run["models"][ROLE])
    if run["validation_data"] is None:
        raise ValueError(
            f"run_dir must hold a run with validation data, by which a seed is chosen. Received: "
            f"run_dir={run_dir}, a run without"
        )
    command = training_command(env, run, config, f"runs/{name}")
    result = load_transition_result(run_dir, env)
    history = result.validation[result.metric_names[0]].astype(float)
    errors = history[:, -1] if history.size else np.full(len(result.seeds), np.nan)
    check_result(result, errors)
    seed = result.seeds[int(np.argmin(errors))]
    model = result.model(seed)

    def write(place: Path) -> dict[str, Any]:
        models.save(model, place / "transition.keras")
        _write_golden(place / "golden.npz", model, env)
        plot_training(result, place / "training_curve.png", seed)
        return {
            "format": 1,
            "type": zoo.TRANSITION_MODEL.text,
            "name": name,
            "description": description or _description(env, config, run),
            "use": f"A model of {env.name}'s dynamics to plan with, to compare with, or to train "
            "further: it predicts the state that follows a state and an action.",
            **environment_fields(env),
            "head": head_fields(env.transition_head, config.predict_change),
            "networks": {"transition": network_fields(model, config.kind, "the next state")},
            "config": config.to_json(),
            "data": _data(env, run),
            "training": {
                **training_fields(result.seeds, seed, RULE, "mean_error", errors, run),
                "mean_error_of": f"{result.metric_names[0].replace('_', ' ')} on the "
                f"{run['validation_data']['num_transitions']:,} transitions of the validation set, "
                "after the last epoch",
                "epochs": config.num_epochs,
                "command": command,
                "publish_command": f"python -m launchers.publish --run_dir=runs/{name} "
                f"--name={name}"
                + "".join(f" {flag}" for flag in zoo_flags(zoo_dir))
                + (f" --transitions={transitions}" if transitions != 10_000 else ""),
            },
            "evaluation": evaluate_transition_model(
                model, env, transitions, EVALUATION_SEED, min(_STARTS, transitions)
            ),
            "equivariance": measure_equivariance(model, env),
            **of_own_zoo(zoo_dir, licence),
            "limits": _limits(env, config, len(result.seeds), limits),
        }

    return write_entry(zoo_dir, name, write)


def training_command(
    env: envs.Environment, run: dict[str, Any], config: TransitionModelConfig, run_dir: str
) -> str:
    """The command line that makes a run.

    Args:
        env: The environment.
        run: The run's description.
        config: Its configuration.
        run_dir: The folder that the command names.

    Raises:
        ValueError: If there is no such command: the data are not of `dyna.make_dataset` with the
            zoo's expert, the validation set is not a "joint" one, or the seeds are not consecutive.
    """
    data, validation = _origin(run, "data"), _origin(run, "validation_data")
    if validation["kind"] != "joint":
        raise ValueError(
            "run_dir must hold a run with a validation set that is half random and half the "
            f"expert's. Received: one of kind {validation['kind']!r}"
        )
    flags = [
        *environment_flags(env),
        f"--data={data['kind']}",
        f"--num_transitions={data['num_transitions']}",
        f"--data_seed={data['seed']}",
        f"--validation_transitions={validation['num_transitions']}",
        f"--validation_seed={validation['seed']}",
        *seed_flags(run["seeds"]),
        *config_flags(config),
    ]
    return " ".join(["python -m launchers.train_transition_model", *flags, f"--run_dir={run_dir}"])


def _origin(run: dict[str, Any], which: str) -> dict[str, Any]:
    """What `make_dataset` was called with, of a run's data."""
    provenance = run[f"{which.removesuffix('_data')}_provenance"]
    env = run["environment"]
    experts = {policy for policy, _ in _played(provenance)} - {"random", f"{env.lower()}-ppo-gcnn"}
    if provenance.get("made_by") != "make_dataset" or experts:
        raise ValueError(
            f"run_dir must hold a run whose {which} came from `dyna.make_dataset` with the zoo's "
            "G-CNN policy as expert, so that the card's command can make them again. Received: "
            f"{provenance!r:.200}"
        )
    return provenance


def _played(provenance: Any) -> Iterator[tuple[str, int]]:
    """Every policy that was played for a dataset, and for how many steps."""
    if isinstance(provenance, list):
        for part in provenance:
            yield from _played(part)
    elif isinstance(provenance, dict):
        if provenance.get("made_by") == "collect_transitions":
            policy = provenance["policy"]
            yield policy.get("name", policy["kind"]), provenance["num_transitions"]
        for value in provenance.values():
            yield from _played(value)


def _data(env: envs.Environment, run: dict[str, Any]) -> dict[str, Any]:
    origin, count = _origin(run, "data"), run["data"]["num_transitions"]
    played = " and ".join(f"{steps:,} steps of {policy}" for policy, steps in _played(origin))
    return {
        "meaning": f'{count:,} transitions, a "{origin["kind"]}" set of seed {origin["seed"]}, '
        f"from {played}",
        "transitions": count,
        "sha256": run["data"]["sha256"],
        "provenance": origin,
        "again": "The command below makes them again; in Python it is "
        f'`dyna.make_dataset(envs.make("{env.name}"), "{origin["kind"]}", '
        f"{origin['num_transitions']}, seed={origin['seed']})`",
    }


def head_fields(head: Head, predict_change: bool | None) -> dict[str, Any]:
    """The field `head` of a transition model's card."""
    if isinstance(head, CategoricalHead):
        sizes = list(head.sizes)
        meaning = (
            f"logits of {len(sizes)} independent categorical distributions over parts of the next "
            "state, one after the other"
        )
    else:
        sizes = [head.representation.dim]
        change = ": the state and a predicted change" if predict_change else ""
        meaning = f"the next state as real numbers{change}"
    return {
        "class": type(head).__name__,
        "meaning": meaning,
        "sizes": sizes,
        "metrics": list(head.metric_names),
    }


def _description(env: envs.Environment, config: TransitionModelConfig, run: dict[str, Any]) -> str:
    known = "" if config.kind in UNCONSTRAINED else f" that knows {env.name}'s symmetry"
    if config.kind in RELAXED_KINDS:
        known = f" that began with {env.name}'s symmetry"
    return (
        f"{_KINDS[config.kind]}, a transition model of {env.name}{known}, trained on "
        f"{run['data']['num_transitions']:,} transitions."
    )


def _limits(
    env: envs.Environment, config: TransitionModelConfig, seeds: int, limits: Sequence[str]
) -> list[str]:
    sentences = [
        f"Trained and evaluated on {env.name} with the settings above only; what it predicts in "
        "states that random actions and the expert do not reach is not known.",
        "It predicts neither rewards nor the ends of episodes; no transition starts in a terminal "
        "state, so what it says there means nothing.",
    ]
    if seeds > 1:
        sentences.append("The best of its seeds: one that is trained anew is worse on average.")
    if config.kind in UNCONSTRAINED:
        sentences.append(
            "It is not equivariant: mirrored states and actions may be predicted otherwise."
        )
    return [*sentences, *limits]


def _write_golden(file: Path, model: keras.Model, env: envs.Environment) -> None:
    observations = evaluation.visited_observations(env, GOLDEN, seed=1)
    actions = np.eye(env.num_actions, dtype=np.float32)[np.arange(GOLDEN) % env.num_actions]
    outputs = keras.ops.convert_to_numpy(model([observations, actions]))
    np.savez(file, observations=observations, actions=actions, outputs=outputs)
