"""Trained networks that agents go on from: which, and what a run folder says of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_equirl import zoo
from tf_equirl._checks import integer, refuse, shown, within
from tf_equirl.training.result import Result, TrainingResult, best_row
from tf_equirl.training.run_folder import read_any_description
from tf_equirl.training.saved import read_networks
from tf_equirl.zoo.store import ZooEntry

RULE = (
    "the name of a model of the zoo, the path of a .keras file (an actor), of a run folder or of a "
    "model in a zoo of your own, a TrainingResult, or a ZooEntry"
)
_SEED = "an integer of at least 0, or None for the best seed"


class Start(NamedTuple):
    """Networks that every seed goes on from.

    Attributes:
        networks: By role, the "actor" and maybe the "critic".
        name: What tells them from others: a name of the zoo, or a digest of their weights.
        place: Where they are found again, `{"from": path, "seed": seed}`; None of a name of the
            zoo, which says it itself, and of what is in memory only.
    """

    networks: dict[str, keras.Model]
    name: str
    place: dict[str, Any] | None = None

    @property
    def actor(self) -> keras.Model:
        """The policy network."""
        return self.networks["actor"]

    @property
    def critic(self) -> keras.Model | None:
        """The value network, if there is one."""
        return self.networks.get("critic")

    def describe(self) -> dict[str, Any]:
        """What `run.json` says of it; the place does not tell one run from another."""
        place = {} if self.place is None else {"start_place": self.place}
        return {"start_from": self.name, **place}


def start_of_training(
    start_from: Any,
    start_seed: int | None,
    actor: keras.Model | None,
    critic: keras.Model | None,
) -> tuple[Start | None, keras.Model | None, keras.Model | None]:
    """What a trainer's arguments say of where seeds start.

    Returns:
        The start, None for networks of their own, and the actor and the critic to train, if given.

    Raises:
        ValueError: As `starting_point` does; and for networks beside it, or a seed alone.
    """
    if start_from is None:
        if start_seed is not None:
            raise ValueError(
                "`start_seed` is a seed of what `start_from` names. Received: start_from=None, "
                f"start_seed={shown(start_seed)}"
            )
        return None, actor, critic
    if actor is not None or critic is not None:
        raise ValueError(
            "`start_from` brings its own networks: give it or actor and critic, not both. "
            f"Received: start_from={shown(start_from)}, actor={shown(actor)}, "
            f"critic={shown(critic)}"
        )
    start = starting_point(start_from, start_seed)
    return start, start.actor, start.critic


def starting_point(
    start_from: str | os.PathLike | TrainingResult | ZooEntry, start_seed: int | None = None
) -> Start:
    """The networks that `start_from` of a trainer stands for.

    Args:
        start_from: The name of a model in the zoo; the path of a `.keras` file, which is an actor;
            of a run folder; or of a model's folder in a zoo of one's own; a result of training; or
            what `zoo.load` gives.
        start_seed: Which seed of a run or a result; None takes the best, see
            `TrainingResult.best_seed`.

    Raises:
        ValueError: If it is none of these, is damaged, or holds no policy; or there is no such
            seed.
    """
    with within("start_from"):
        if start_seed is not None:
            integer("start_seed", start_seed, 0, rule=_SEED)
        if isinstance(start_from, TrainingResult):
            return _of_result(start_from, start_from.returns, start_seed, start_from.run_dir)
        if not isinstance(start_from, ZooEntry | str | os.PathLike):
            refuse("start_from", RULE, start_from)
        path = Path("" if isinstance(start_from, ZooEntry) else start_from)
        if (path / "run.json").is_file() and not _is_name(start_from):
            return _of_run(path, start_seed)
        if start_seed is not None:
            raise ValueError(
                "`start_seed` must be None but for a run folder or a result, which have seeds. "
                f"Received: start_seed={start_seed}, start_from={shown(start_from)}"
            )
        if isinstance(start_from, ZooEntry):
            return _of_entry(start_from)
        if path.suffix == ".keras":
            actor = zoo.load_model(path)
            return Start({"actor": actor}, _digest([actor]), {"from": str(path), "seed": None})
        if (path / "card.json").is_file() and not _is_name(start_from):
            place = path.resolve()
            return _of_entry(zoo.load(place.name, place.parent, must_be=zoo.POLICY.text))
        if path.name != os.fspath(start_from):
            raise ValueError(
                f"`start_from` must be {RULE}. Received: start_from={shown(start_from)}, where "
                f"there is {'neither a run.json nor a card.json' if path.exists() else 'nothing'}"
            )
        name = os.fspath(start_from)
        entry = zoo.load(name, must_be=zoo.POLICY.text)
        return Start(entry.networks, name)


def _is_name(start_from: Any) -> bool:
    """Whether the zoo has a model of this name, which goes before a folder that is called so."""
    try:
        return isinstance(start_from, str) and start_from in zoo.list()
    except ValueError:  # there is no zoo
        return False


def _of_entry(entry: ZooEntry) -> Start:
    if entry.actor is None:
        raise ValueError(
            f"`start_from` must be a policy. Received: start_from={entry.name!r}, a transition "
            "model"
        )
    place = {"from": str(entry.path), "seed": None}
    return Start(entry.networks, _digest(list(entry.networks.values())), place)


def _of_run(path: Path, seed: int | None) -> Start:
    description = read_any_description(path)
    if "configs" in description:
        raise ValueError(
            "`start_from` must be a run of one config; load it, and give one of its results. "
            f"Received: start_from={str(path)!r}, a run of several"
        )
    networks, outcome = read_networks(path, description)
    if "actor" not in networks:
        raise ValueError(
            f"`start_from` must be a run that trained a policy. Received: start_from={str(path)!r}"
            f", a run of {description['trainer']}"
        )
    result = Result(
        environment=description["environment"], config=None, networks=networks, **outcome.common()
    )
    returns = outcome.history.get("update", {}).get("returns", np.zeros([0, 0, len(result.seeds)]))
    return _of_result(result, returns.reshape(-1, len(result.seeds)).T, seed, path)


def _of_result(
    result: Result, returns: np.ndarray, seed: int | None, path: str | os.PathLike | None
) -> Start:
    seed = result.seeds[best_row(returns)] if seed is None else seed
    if seed not in result.seeds:
        raise ValueError(
            f"`start_seed` must be one of the run's seeds {shown(result.seeds)}. Received: "
            f"start_seed={seed}"
        )
    networks: dict[str, keras.Model] = {
        role: result.model(role, seed) for role in ("actor", "critic") if role in result.networks
    }
    place = None if path is None else {"from": os.fspath(path), "seed": seed}
    return Start(networks, _digest(list(networks.values())), place)


def _digest(models: Sequence[keras.Model]) -> str:
    return "weights " + ", ".join(weights_digest(model) for model in models)


def weights_digest(model: keras.Model) -> str:
    """What tells the weights of two models of one architecture apart."""
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()[:16]
