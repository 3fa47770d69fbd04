"""What publishing a policy and publishing a transition model share."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import keras
import numpy as np

from tf_equirl import envs, zoo
from tf_equirl._portable import architecture, same_architecture
from tf_equirl.envs.registry import recipe
from tf_equirl.experiments.statistics import mean_and_error
from tf_equirl.models.widths import trained_parameters
from tf_equirl.publishing.cards import index_of, write_readme
from tf_equirl.publishing.changes import changing, new_model, publish
from tf_equirl.training.result import Result
from tf_equirl.training.run_folder import read_any_description
from tf_equirl.zoo.field_rules import LINE, TEXT, WORD
from tf_equirl.zoo.records import file_record

EVALUATION_SEED = 20_000_001  # of episodes that no training run with a usual seed has seen
GOLDEN = 64  # observations whose outputs are kept


def check_arguments(name: str, description: str | None, limits: Sequence[str]) -> None:
    """Checks a model's name and the sentences about it.

    Raises:
        ValueError: If one of them breaks its rule.
    """
    if not isinstance(name, str) or not zoo.NAME.fullmatch(name):
        raise ValueError(f"`name` must be lower-case words joined by hyphens. Received: {name!r}")
    if description is not None and not TEXT.holds(description):
        raise ValueError(
            f"`description` must be None or {TEXT.text}. Received: description={description!r}"
        )
    if isinstance(limits, str):
        raise ValueError(f"`limits` must be a list of sentences. Received: limits={limits!r}")
    for limit in limits:
        if not TEXT.holds(limit):
            raise ValueError(
                f"`limits` must be a list of sentences, each {TEXT.text}. Received: "
                f"limits={limits!r}"
            )


def is_own(zoo_dir: str | os.PathLike) -> bool:
    """Whether a zoo is another than the one that comes with tf_equirl."""
    try:
        return Path(zoo_dir).resolve() != zoo.default_folder().resolve()
    except ValueError:  # there is none
        return True


def of_own_zoo(zoo_dir: str | os.PathLike, licence: str | None) -> dict[str, Any]:
    """The fields of a card that depend on whose zoo it is in.

    Raises:
        ValueError: If the licence is no line of text.
    """
    own = is_own(zoo_dir)
    if licence is not None and not LINE.holds(licence):
        raise ValueError(f"`licence` must be None or {LINE.text}. Received: licence={licence!r}")
    stated = licence or ("not stated" if own else "Apache-2.0")
    return {"licence": stated, **({"zoo": "own"} if own else {})}


def zoo_flags(zoo_dir: str | os.PathLike) -> list[str]:
    """The launchers' flags for a zoo."""
    if not is_own(zoo_dir):
        return []
    text = os.fspath(zoo_dir)
    return [f"--zoo_dir={text if WORD.holds(text) else 'zoo'}"]


def environment_flags(env: envs.BaseEnvironment) -> list[str]:
    """The launchers' flags for an environment.

    Raises:
        ValueError: If they cannot be said in words as one types them in a shell.
    """
    how = recipe(env) or {"make": env.name, "arguments": {}}
    texts = {k: x if isinstance(x, str) else json.dumps(x) for k, x in how["arguments"].items()}
    flags = [f"--env={how['make']}", *(f"--env_arg={k}={x}" for k, x in texts.items())]
    for flag in flags:
        if not WORD.holds(flag):
            raise ValueError(
                f"`env` must have arguments that are each {WORD.text}, so that the card's command "
                f"can make it again. Received: {flag}"
            )
    return flags


def check_environment(env: envs.BaseEnvironment) -> None:
    """Checks that a card can name an environment, also in commands and in code.

    Raises:
        ValueError: If it cannot.
    """
    if recipe(env) is None and env.name not in envs.names():
        raise ValueError(
            "`env` must be a registered environment, or one of a class of a module that is made "
            "with plain values, so that the card can say how to make it. Received: env="
            f"{type(env).__module__}:{type(env).__qualname__}"
        )
    environment_flags(env)
    if not WORD.holds(env.name):
        raise ValueError(
            f"`env` must have a name that is {WORD.text}. Received: env.name={env.name!r}"
        )


def type_of_run(run_dir: str | os.PathLike) -> zoo.CardType:
    """What a run folder holds: policies, maybe beside what they planned in, or transition models.

    Raises:
        ValueError: If it holds no run, or its `run.json` is damaged or of another format.
    """
    found = read_any_description(run_dir)["models"]  # by role
    return zoo.POLICY if "actor" in found else zoo.TRANSITION_MODEL


def check_run(run_dir: str | os.PathLike, wanted: zoo.CardType) -> None:
    """Checks that a folder holds a run of the wanted type.

    Raises:
        ValueError: If it does not.
    """
    found = type_of_run(run_dir)
    if found != wanted:
        raise ValueError(
            f"run_dir must hold a run that trained a {wanted.text}. Received: run_dir={run_dir}, "
            f"which trained a {found.text}"
        )


def check_result(result: Result, scores: np.ndarray) -> None:
    """Checks that a run came to its end, with every seed.

    Args:
        result: Of the run.
        scores: `[seeds]`, what the rule goes by that chooses a seed.

    Raises:
        ValueError: If it did not.
    """
    if not result.finished:
        raise ValueError(
            f"run_dir must hold a finished run; resume it first. Received: run_dir={result.run_dir}"
        )
    lost = [seed for seed, score in zip(result.seeds, scores, strict=True) if math.isnan(score)]
    if lost:
        raise ValueError(
            "run_dir must hold a run whose seeds all have a score at its end. Received: "
            f"run_dir={result.run_dir}, where seeds {lost} have none"
        )


def check_network(role: str, built: keras.Model, found: dict[str, Any]) -> None:
    """Checks that a run's network is the one that its configuration describes.

    Args:
        role: What the message calls it.
        built: Made from the configuration.
        found: The network of the run's description.

    Raises:
        ValueError: If it is another one.
    """
    if not same_architecture(architecture(built), found):
        raise ValueError(
            f"run_dir must be a run of the networks that its configuration describes, so that "
            f"the card's command can train them again. Received: a run with another {role}"
        )


def write_entry(
    zoo_dir: str | os.PathLike, name: str, write: Callable[[Path], dict[str, Any]]
) -> Path:
    """Makes a model's folder and writes the index anew.

    The folder appears whole or not at all, and the index with it; a model of the same name is
    replaced. Of several processes that publish at once, under whatever names, all do, one after the
    other.

    Args:
        zoo_dir: The zoo's folder; made if missing.
        name: The model's name.
        write: Writes all files but the card and the page into the folder that it is given, and
            returns the card without its field `files`.

    Returns:
        The model's folder.

    Raises:
        ValueError: If the card breaks the rules of `validate_card`, another model of the zoo is
            damaged, or another process changes the zoo all the time; the zoo is then as it was.
    """
    zoo_dir = Path(zoo_dir)
    zoo_dir.mkdir(parents=True, exist_ok=True)
    with new_model(zoo_dir, name) as place:
        card = write(place)
        card["files"] = {file.name: file_record(file) for file in sorted(place.iterdir())}
        zoo.validate_card(card)
        (place / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        write_readme(place)
        with changing(zoo_dir):
            return publish(place, index_of(zoo_dir, place))


def environment_fields(env: envs.BaseEnvironment) -> dict[str, Any]:
    """The fields `environment` and `symmetry` of a card."""
    how = recipe(env)
    plain = how is None or how == {"make": env.name, "arguments": {}}
    return {
        "environment": {
            "name": env.name,
            "gymnasium_id": env.gymnasium_id if env.gymnasium_id in gymnasium.registry else None,
            "config": env.get_config(),
            **({} if plain else {"recipe": how}),
        },
        "symmetry": {
            "group": env.symmetry.group.name,
            **env.symmetry_in_words,
            "data": env.symmetry.get_config(),
        },
    }


def network_fields(network: keras.Model, kind: str, meaning: str) -> dict[str, Any]:
    """What a card says of a network."""
    inputs = [list(tensor.shape[1:]) for tensor in network.inputs]
    return {
        "kind": kind,
        "class": "Keras functional model",
        "layers": [
            f"{type(layer).__name__} {list(layer.output.shape[1:])}"
            + (f" {layer.activation.__name__}" if hasattr(layer, "activation") else "")
            for layer in network.layers
        ],
        "parameters": trained_parameters(network),
        "input_shape": inputs if len(inputs) > 1 else inputs[0],
        "output_shape": list(network.output_shape[1:]),
        "meaning": meaning,
    }


def training_fields(
    seeds: Sequence[int],
    kept_seed: int,
    rule: str,
    mean: str,
    scores: np.ndarray,
    description: dict[str, Any],
) -> dict[str, Any]:
    """What a card says of any training.

    Args:
        seeds: The run's seeds.
        kept_seed: The published one.
        rule: By which it was chosen, if there are several.
        mean: Name of the field for the mean of the scores.
        scores: `[seeds]`, what the rule goes by.
        description: The run's.
    """
    value, two_errors = mean_and_error(scores)
    return {
        "seeds": list(seeds),
        "num_seeds": len(seeds),
        "kept_seed": kept_seed,
        "rule": rule if len(seeds) > 1 else "it is the only one. The evaluation is of fresh data.",
        mean: value,
        "standard_error": None if math.isnan(two_errors) else two_errors / 2,
        "git_commit": description["git_commit"],
        "versions": description["versions"],
    }


def config_flags(config: Any) -> list[str]:
    """The launchers' flags for what a configuration has other than by default."""
    values = {field: getattr(config, field.name) for field in dataclasses.fields(config)}
    return [flag(x.name, value) for x, value in values.items() if value != x.default]


def flag(name: str, value: Any) -> str:
    """A launcher's flag."""
    if isinstance(value, bool):
        return f"--{'' if value else 'no'}{name}"
    text = ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return f"--{name}={text}"


def seed_flags(seeds: Sequence[int]) -> list[str]:
    """The launchers' flags for a run's seeds.

    Raises:
        ValueError: Unless the seeds are consecutive, as the launchers' are.
    """
    if list(seeds) != list(range(seeds[0], seeds[0] + len(seeds))):
        raise ValueError(f"seeds must be consecutive integers. Received: seeds={list(seeds)}")
    first = [f"--first_seed={seeds[0]}"] if seeds[0] else []
    return [f"--num_seeds={len(seeds)}", *first]
