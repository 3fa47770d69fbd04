"""Is what a card says of a model true, as far as it can be told without playing?"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tf_equirl._portable import architecture, same_architecture
from tf_equirl.agents import PPOConfig
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.fit import build_model
from tf_equirl.envs import Environment
from tf_equirl.publishing.entry import (
    config_flags,
    environment_fields,
    environment_flags,
    flag,
    network_fields,
    seed_flags,
)
from tf_equirl.publishing.policy import config_of, equivariance_fields
from tf_equirl.publishing.transition_model import head_fields
from tf_equirl.publishing.transition_scores import measure_equivariance
from tf_equirl.zoo.card_types import POLICY, type_of
from tf_equirl.zoo.model_file import without_weights
from tf_equirl.zoo.records import printable
from tf_equirl.zoo.store import ZooEntry

_T = TypeVar("_T")
MAXIMUM = 1_000_000
"""How many episodes, states or transitions of a card are measured again; more are refused."""
# Errors of equivariance in float32 where there are none in exact arithmetic are some 1e-7. Where
# there are, rounding may lead to a few other states.
_ROUNDING, _OF_AN_ERROR, _OF_PAIRS = 1e-5, 0.1, 0.01
# What the card says nowhere else. Nothing in a command is more than a word to a shell: see
# `field_rules.COMMAND`.
_FREE = re.compile(r"--(run_dir|validation_transitions|validation_seed|success|zoo_dir)=\S+")

# A field of the card, what the card says there, and what is found.
Fact = tuple[str, Any, Any]


def verify_facts(entry: ZooEntry, env: Environment) -> None:
    """Recomputes what a card says of networks, environment, training and equivariance.

    Args:
        entry: The model.
        env: The environment of its card.

    Raises:
        ValueError: Naming the first field that does not say what is found.
    """
    for facts in (_of_environment, _of_networks, _of_training, _of_equivariance):
        for place, claimed, found in facts(entry, env):
            if claimed is None or not isinstance(found, float):
                if claimed != found:
                    raise ValueError(
                        f"the card's field `{place}` of {entry.name} must say what is found, "
                        f"{found!r:.500}. Received: {claimed!r:.500}"
                    )
            else:
                of_pairs = place.endswith("share")
                allowed = _OF_PAIRS if of_pairs else _ROUNDING + _OF_AN_ERROR * abs(found)
                compare(f"{place} of {entry.name}", claimed, found, allowed)


def compare(what: str, expected: float, found: float, allowed: float) -> None:
    """Checks a number of a card.

    Raises:
        ValueError: If it is further from what was found than it may be, or that is not a number.
    """
    if not abs(found - expected) <= allowed:
        raise ValueError(
            f"the {what} must be the card's, {expected:.6g}, to {allowed:.2g}. Received: "
            f"{found:.6g}"
        )


def check_size(place: str, value: int) -> None:
    """Checks that a card does not ask for more than it may.

    Raises:
        ValueError: If it does.
    """
    if value > MAXIMUM:
        raise ValueError(
            f"the card's field `{place}` must be at most {MAXIMUM:,} to be verified. Received: "
            f"{value}"
        )


def _of_environment(entry: ZooEntry, env: Environment) -> Iterator[Fact]:
    found = json.loads(json.dumps(environment_fields(env)))
    for place, fields in (
        ("environment", ("gymnasium_id", "config")),
        ("symmetry", ("group", "data")),
    ):
        for field in fields:
            yield f"{place}.{field}", entry.card[place][field], found[place][field]
    recipes = (fields["environment"].get("recipe") for fields in (entry.card, found))
    yield "environment.recipe", *recipes
    if "head" in entry.card:
        head = head_fields(env.transition_head, False)
        for field in ("class", "sizes", "metrics"):
            yield f"head.{field}", entry.card["head"][field], head[field]


def _of_networks(entry: ZooEntry, env: Environment) -> Iterator[Fact]:
    card = entry.card
    if type_of(card) == POLICY:
        start_from = card["training"].get("start_from")
        config = _read(entry, lambda: config_of(start_from) if start_from else _config(entry))
        kinds = {role: getattr(config, role) for role in entry.networks}
        built = _built(entry, lambda: config.networks(env))
    else:
        config = _config(entry)
        kinds = {"transition": config.kind}
        built = _built(entry, lambda: [build_model(env, config)])
    for (role, network), described in zip(entry.networks.items(), built, strict=True):
        found = network_fields(network, kinds[role], "")
        for field in ("kind", "parameters", "input_shape", "output_shape", "layers"):
            if field in card["networks"][role]:
                place = f"networks.{role}.{field}"
                yield place, card["networks"][role][field], found[field]
        if not same_architecture(architecture(network), described):
            raise ValueError(
                f"the card's field `config` of {entry.name} must describe its networks. Received: "
                f"the description of another {role}"
            )


def _of_training(entry: ZooEntry, env: Environment) -> Iterator[Fact]:
    card, training, config = entry.card, entry.card["training"], _config(entry)
    flags = [*environment_flags(env), *_read(entry, lambda: seed_flags(training["seeds"]))]
    if isinstance(config, PPOConfig):
        yield "training.timesteps", training["timesteps"], config.num_updates * config.batch_size
        program, start_from = "train_ppo", training.get("start_from")
        flags += [] if start_from is None else [f"--start_from={start_from}"]
        size = f"--episodes={card['evaluation']['greedy']['episodes']}"
    else:
        yield "training.epochs", training["epochs"], config.num_epochs
        program, data = "train_transition_model", card["data"]["provenance"]
        names = {"data": "kind", "num_transitions": "num_transitions", "data_seed": "seed"}
        flags += [f"--{name}={data.get(field)}" for name, field in names.items()]
        yield "data.transitions", card["data"]["transitions"], data.get("num_transitions")
        size = f"--transitions={card['evaluation']['transitions']}"
    every = {flag(field.name, getattr(config, field.name)) for field in dataclasses.fields(config)}
    start = ["python", "-m"]
    for field, words, needed, allowed in (
        ("command", [f"launchers.{program}"], {*flags, *config_flags(config)}, every),
        ("publish_command", ["launchers.publish"], {f"--name={entry.name}"}, {size}),
    ):
        given = training[field].split(" ")
        wrong = [x for x in given[3:] if x not in needed | allowed and not _FREE.fullmatch(x)]
        wrong += sorted(needed - set(given))
        if given[:3] != start + words or wrong:
            raise ValueError(
                f"the card's field `training.{field}` of {entry.name} must be a command of "
                f"{words[0]} that makes what the card describes. Received: {' '.join(given)!r}, "
                f"which is wrong about {wrong or given[:3]}"
            )


def _of_equivariance(entry: ZooEntry, env: Environment) -> Iterator[Fact]:
    claimed = entry.card["equivariance"]
    if type_of(entry.card) == POLICY:
        check_size("equivariance.states", claimed["states"])
        for role, network in entry.networks.items():
            found = equivariance_fields(network, env, claimed["states"])
            for field in ("max", "mean"):
                yield f"equivariance.{role}.{field}", claimed[role][field], found[field]
        return
    measured = measure_equivariance(entry.networks["transition"], env)
    for field in ("pairs", "share", "mode_share", "max", "mean"):
        yield f"equivariance.{field}", claimed[field], measured[field]


def _config(entry: ZooEntry) -> Any:
    kind = PPOConfig if type_of(entry.card) == POLICY else TransitionModelConfig
    return _read(entry, lambda: kind.from_json(entry.card["config"]))


def _built(entry: ZooEntry, build: Callable[[], Any]) -> list[dict[str, Any]]:
    """The architectures that a config describes; of whatever size, as there are no weights."""

    def describe() -> list[dict[str, Any]]:
        return [architecture(network) for network in build()]

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # widths that are searched for say what they are
        return _read(entry, lambda: without_weights(describe))


def _read(entry: ZooEntry, read: Callable[[], _T]) -> _T:
    """What is made from a field of the card."""
    try:
        return read()
    except Exception as error:  # of many types, depending on what is wrong
        raise ValueError(
            f"the card of {entry.name} must describe a run and its networks. Received: "
            f"{printable(str(error)) or type(error).__name__}"
        ) from error
