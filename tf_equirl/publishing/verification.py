"""Does a model still do what its card says?"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from tf_equirl.publishing.card_facts import check_size, compare, verify_facts
from tf_equirl.zoo.card_rules import success_return
from tf_equirl.zoo.card_types import POLICY, type_of
from tf_equirl.zoo.field_rules import reject
from tf_equirl.zoo.store import Folder, ZooEntry, load

# The episodes are those of the card; rounding on another machine may turn the end of a few.
SCORE_TOLERANCE = 4.0  # standard errors of the difference, as measured now
LEAST = 100
"""Episodes and transitions that are measured, where the card rests on fewer."""
# A rounded number may turn an action of the policy that the states are from, and so the rest of an
# episode: some of the states are other ones then, and errors far ahead are those of few of them.
ROLLOUT_TOLERANCE = 0.25
_OF_AN_ERROR = 0.25  # the same for standard errors
_FEW = 3  # episodes or transitions


def verify_score(name: str, folder: Folder = None) -> dict[str, Any]:
    """Makes the card's evaluation again: plays its episodes, or predicts its transitions.

    Before that, what else the card says of the model is recomputed: environment, symmetry,
    networks, length and command of the training, equivariance. Not what only the training could
    tell: the mean over all seeds, the rule by which one was kept, versions and commit.

    Returns:
        Of a policy the `Evaluation` of "greedy" and of "sampled" actions; of a transition model the
        card's `evaluation` as found now.

    Raises:
        ValueError: As `zoo.load` does; if the environment of the card has other settings by now; if
            something that the card says is not what is found; or if a mean differs from the card's
            by more than four standard errors of the difference, as measured on at least 100
            episodes or transitions, or errors several steps ahead differ by more than a quarter.
    """
    entry = load(name, folder)
    environment = _environment(entry)
    verify_facts(entry, environment)
    if type_of(entry.card) == POLICY:
        return _verify_episodes(entry, environment)
    return _verify_predictions(entry, environment)


def _verify_episodes(entry: ZooEntry, environment: Any) -> dict[str, Any]:
    from tf_equirl.evaluation import evaluate

    found = {}
    for kind in ("greedy", "sampled"):
        scores = entry.card["evaluation"][kind]
        check_size(f"evaluation.{kind}.episodes", scores["episodes"])
        found[kind] = evaluate(
            entry.networks["actor"],
            environment,
            episodes=max(scores["episodes"], LEAST),
            greedy=kind == "greedy",
            seed=scores["seed"],
        )
        _check_episodes(f"{kind} %s of {entry.name}", scores, found[kind].returns)
    return found


def _check_episodes(what: str, scores: dict[str, Any], returns: np.ndarray) -> None:
    """Checks a card's scores against the returns of its episodes, and maybe some more."""
    count = scores["episodes"]
    own = np.sort(returns[:count])  # fewer episodes are the first of more
    scale = 2 * max(1.0, abs(float(returns.mean())))  # how far the return of an episode may turn
    compare(
        what % "mean return",
        scores["mean"],
        float(returns.mean()),
        _tolerance(float(returns.std(ddof=1)), count, len(returns)) + scale * _FEW / len(returns),
    )
    rate = float(np.mean(returns >= success_return(scores)))
    compare(
        what % "success rate",
        scores["success_rate"],
        rate,
        _tolerance(math.sqrt(rate * (1 - rate)), count, len(returns)) + _FEW / len(returns),
    )
    error = float(own.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    compare(
        what % "standard error",
        scores["standard_error"],
        error,
        _OF_AN_ERROR * error + scale * math.sqrt(_FEW) / count,
    )
    few = min(_FEW, count - 1)
    for extreme, low, high in (
        ("minimum", own[0] - scale, own[few]),
        ("maximum", own[-1 - few], own[-1] + scale),
    ):
        middle, slack = float(low + high) / 2, float(high - low) / 2
        compare(what % extreme, scores[extreme], middle, slack + 1e-6 * scale)


def _verify_predictions(entry: ZooEntry, environment: Any) -> dict[str, Any]:
    from tf_equirl.publishing.transition_scores import evaluate_transition_model

    card = entry.card["evaluation"]
    count, starts = card["transitions"], card["rollout"]["starts"]
    check_size("evaluation.transitions", count)
    if starts > count:
        reject("evaluation.rollout.starts", "at most evaluation.transitions", starts)
    model, measured = entry.networks["transition"], max(count, LEAST)
    found = evaluate_transition_model(model, environment, measured, card["seed"], starts)
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
        mean, error = (found["metrics"][metric][key] for key in ("mean", "standard_error"))
        spread, few = error * math.sqrt(measured), _rounding(metric == "accuracy", measured)
        compare(
            f"{metric} of {entry.name}",
            scores["mean"],
            mean,
            _tolerance(spread, count, measured) + few,
        )
        compare(
            f"standard error of the {metric} of {entry.name}",
            scores["standard_error"],
            spread / math.sqrt(count),
            # That of a few other transitions can be anything.
            (_OF_AN_ERROR if count == measured else 3) * spread / math.sqrt(count) + few,
        )
    for metric, expected in (card["all_pairs"] or {}).items():
        compare(
            f"{metric} of {entry.name} over all pairs",
            expected,
            found["all_pairs"][metric],
            1e-3 * expected + _rounding(metric == "accuracy", card["all_pairs"]["pairs"]),
        )
    for step, expected in enumerate(rollout["errors"]):
        compare(
            f"error of {entry.name} {step + 1} steps ahead",
            expected,
            found["rollout"]["errors"][step],
            ROLLOUT_TOLERANCE * found["rollout"]["errors"][step]
            + _rounding(is_share, rollout["starts"]),
        )
    return found


def _environment(entry: ZooEntry) -> Any:
    # Imported here: loading a model needs no environment.
    from tf_equirl import envs
    from tf_equirl.envs.registry import from_recipe

    wanted = entry.card["environment"]
    how = wanted.get("recipe")
    environment = envs.make(wanted["name"]) if how is None else from_recipe(how)
    if json.loads(json.dumps(environment.get_config())) != wanted["config"]:
        raise ValueError(
            f"{entry.name} must be evaluated in the environment of its card, {wanted['config']}. "
            f"Received: {environment.get_config()}"
        )
    return environment


def _tolerance(spread: float, one: int, other: int) -> float:
    """How far two means over so many may be from each other."""
    return SCORE_TOLERANCE * spread * math.sqrt(1 / one + 1 / other)


def _rounding(is_share: bool, count: int) -> float:
    """What rounding on another machine may change: a few of the things counted, or a little."""
    return _FEW / count if is_share else 1e-6
