"""Does a model still do what its card says?"""

from __future__ import annotations

import math
from typing import Any

from tf_equirl.zoo.card_rules import success_return
from tf_equirl.zoo.card_types import POLICY, type_of
from tf_equirl.zoo.store import Folder, ZooEntry, load

# The episodes are those of the card; rounding on another machine may turn the end of a few.
SCORE_TOLERANCE = 4.0  # standard errors of the card
# A rounded number may turn an action of the policy that the states are from, and so the rest of an
# episode: some of the states are other ones then, and errors far ahead are those of few of them.
ROLLOUT_TOLERANCE = 0.25
_FEW = 3  # episodes or transitions, where the card's standard error is zero


def verify_score(name: str, folder: Folder = None) -> dict[str, Any]:
    """Makes the card's evaluation again: plays its episodes, or predicts its transitions.

    Returns:
      Of a policy the `Evaluation` of "greedy" and of "sampled" actions; of a transition model the
      card's `evaluation` as found now.

    Raises:
      ValueError: as `zoo.load` does; if the environment of the card has other settings by now; or
        if a mean return differs from the card's by more than four standard errors of the
        difference, a success rate or an error of predictions by more than four of its own, or
        errors several steps ahead by more than a quarter.
    """
    entry = load(name, folder)
    environment = _environment(entry)
    if type_of(entry.card) == POLICY:
        return _verify_episodes(entry, environment)
    return _verify_predictions(entry, environment)


def _verify_episodes(entry: ZooEntry, environment: Any) -> dict[str, Any]:
    from tf_equirl.evaluation import evaluate

    found = {}
    for kind in ("greedy", "sampled"):
        scores = entry.card["evaluation"][kind]
        evaluation = evaluate(
            entry.networks["actor"],
            environment,
            episodes=scores["episodes"],
            greedy=kind == "greedy",
            seed=scores["seed"],
        )
        _compare(
            f"{kind} mean return of {entry.name}",
            scores["mean"],
            evaluation.mean,
            SCORE_TOLERANCE * scores["standard_error"]
            + 2 * max(1.0, abs(scores["mean"])) * _FEW / scores["episodes"],
        )
        _compare(
            f"{kind} success rate of {entry.name}",
            scores["success_rate"],
            float(evaluation.success_rate(success_return(scores))),
            SCORE_TOLERANCE * _share_error(scores["success_rate"], scores["episodes"])
            + _FEW / scores["episodes"],
        )
        found[kind] = evaluation
    return found


def _verify_predictions(entry: ZooEntry, environment: Any) -> dict[str, Any]:
    from tf_equirl.publishing.transition_scores import evaluate_transition_model

    card = entry.card["evaluation"]
    found = evaluate_transition_model(
        entry.networks["transition"],
        environment,
        card["transitions"],
        card["seed"],
        card["rollout"]["starts"],
    )
    rollout, steps = card["rollout"], len(card["rollout"]["errors"])
    for what, wanted, given in (
        ("measures", list(card["metrics"]), list(found["metrics"])),
        ("measures over all pairs", list(card["all_pairs"] or ()), list(found["all_pairs"] or ())),
        ("number of steps ahead", steps, len(found["rollout"]["errors"])),
    ):
        if wanted != given:
            raise ValueError(
                f"the {what} of {entry.name} must be the card's, {wanted}. Received: {given}"
            )
    is_share = "accuracy" in card["metrics"]
    for metric, scores in card["metrics"].items():
        _compare(
            f"{metric} of {entry.name}",
            scores["mean"],
            found["metrics"][metric]["mean"],
            SCORE_TOLERANCE * scores["standard_error"]
            + _rounding(metric == "accuracy", card["transitions"]),
        )
    for metric, expected in (card["all_pairs"] or {}).items():
        _compare(
            f"{metric} of {entry.name} over all pairs",
            expected,
            found["all_pairs"][metric],
            1e-3 * expected + _rounding(metric == "accuracy", card["all_pairs"]["pairs"]),
        )
    for step, expected in enumerate(rollout["errors"]):
        _compare(
            f"error of {entry.name} {step + 1} steps ahead",
            expected,
            found["rollout"]["errors"][step],
            ROLLOUT_TOLERANCE * expected + _rounding(is_share, rollout["starts"]),
        )
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


def _compare(what: str, expected: float, found: float, allowed: float) -> None:
    if not abs(found - expected) <= allowed:  # also where it is NaN
        raise ValueError(
            f"the {what} must be the card's, {expected:.6g}, to {allowed:.2g}. Received: "
            f"{found:.6g}"
        )


def _share_error(share: float, episodes: int) -> float:
    return math.sqrt(share * (1 - share) / episodes)


def _rounding(is_share: bool, count: int) -> float:
    """What rounding on another machine may change: a few of the things counted, or a little."""
    return _FEW / count if is_share else 1e-6
