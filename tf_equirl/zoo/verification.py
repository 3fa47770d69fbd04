"""Does a model still do what its card says?"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from tf_equirl.zoo.card_rules import success_return
from tf_equirl.zoo.store import Folder, ZooEntry, load, verify

# float32 rounds to 6e-8; sums of a few hundred terms, added in another order on another machine,
# differ by some ten times that.
GOLDEN_TOLERANCE = 1e-5
# The episodes are those of the card; rounding on another machine may turn the end of a few.
SCORE_TOLERANCE = 4.0  # standard errors of the card
_FEW = 3  # episodes, where the card's standard error is zero


def verify_outputs(name: str, folder: Folder = None) -> float:
    """Compares a model's outputs with those stored when it was published (`golden.npz`).

    Returns:
      The largest difference of logits and values, relative to the largest of each.

    Raises:
      ValueError: as `zoo.verify` does, or if the difference is above 1e-5.
    """
    verify(name, folder)
    entry = load(name, folder)
    file = entry.path / "golden.npz"
    try:
        with np.load(file, allow_pickle=False) as archive:
            golden = {key: archive[key] for key in ("observations", "logits", "values")}
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{file} must hold observations, logits, values. Received: {error}"
        ) from error
    differences = [
        _difference(entry.actor, golden["observations"], golden["logits"]),
        _difference(entry.critic, golden["observations"], golden["values"]),
    ]
    for role, difference in zip(("actor", "critic"), differences, strict=True):
        if not difference <= GOLDEN_TOLERANCE:  # also where it is NaN
            raise ValueError(
                f"the {role} of {name} must give the outputs in {file} to {GOLDEN_TOLERANCE:g}. "
                f"Received: a relative difference of {difference:.2g}"
            )
    return max(differences)


def verify_score(name: str, folder: Folder = None) -> dict[str, Any]:
    """Plays the episodes of the card's evaluation again.

    Returns:
      The `Evaluation` of "greedy" and of "sampled" actions.

    Raises:
      ValueError: as `zoo.load` does; if the environment of the card has other settings by now; or
        if a mean return differs from the card's by more than four standard errors of the
        difference, or a success rate by more than four of its own.
    """
    from tf_equirl.evaluation import evaluate

    entry = load(name, folder)
    environment = _environment(entry)
    found = {}
    for kind in ("greedy", "sampled"):
        scores = entry.card["evaluation"][kind]
        evaluation = evaluate(
            entry.actor,
            environment,
            episodes=scores["episodes"],
            greedy=kind == "greedy",
            seed=scores["seed"],
        )
        _compare(
            f"{kind} mean return of {name}",
            (scores["mean"], scores["standard_error"]),
            evaluation.mean,
            2 * max(1.0, abs(scores["mean"])) * _FEW / scores["episodes"],
        )
        rate = float(evaluation.success_rate(success_return(scores)))
        _compare(
            f"{kind} success rate of {name}",
            (scores["success_rate"], _share_error(scores["success_rate"], scores["episodes"])),
            rate,
            _FEW / scores["episodes"],
        )
        found[kind] = evaluation
    return found


def _environment(entry: ZooEntry) -> Any:
    # Imported here: loading a model needs no environment.
    from tf_equirl import envs

    wanted = entry.card["environment"]
    environment = envs.make(wanted["name"])
    if environment.get_config() != wanted["config"]:
        raise ValueError(
            f"{entry.name} must be evaluated in the environment of its card, {wanted['config']}. "
            f"Received: {environment.get_config()}"
        )
    return environment


def _compare(what: str, card: tuple[float, float], found: float, slack: float) -> None:
    difference = abs(found - card[0])
    allowed = SCORE_TOLERANCE * card[1] + slack
    if not difference <= allowed:
        raise ValueError(
            f"the {what} must be the card's, {card[0]:.6g}, to {allowed:.2g}. Received: {found:.6g}"
        )


def _share_error(share: float, episodes: int) -> float:
    return math.sqrt(share * (1 - share) / episodes)


def _difference(model: keras.Model, observations: np.ndarray, expected: np.ndarray) -> float:
    found = keras.ops.convert_to_numpy(model(observations)).astype(np.float64)
    if found.shape != expected.shape:
        return math.nan
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found - expected).max()) / scale
