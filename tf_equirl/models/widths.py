"""Hidden widths: validation, and the search for widths that meet a parameter budget."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence

import keras

from tf_equirl._checks import LARGEST_BUDGET, integers, positive_integer, refuse

LARGEST_WIDTH = 2**14
"""Of a hidden layer: two of these have 268 million weights between them."""

MOST_LAYERS = 100
"""Hidden layers of a model."""

# A share of the budget. Widths are whole numbers: small models cannot meet every budget.
_TOLERANCE = 0.05


def check_hidden_units(hidden_units: Sequence[int]) -> tuple[int, ...]:
    """Returns `hidden_units` as a tuple.

    Raises:
        ValueError: Unless it is a sequence of 1 to 100 positive integers up to 16,384.
    """
    rule = (
        f"a non-empty sequence of positive integers up to {LARGEST_WIDTH:,}, at most {MOST_LAYERS}"
    )
    if not isinstance(hidden_units, Sequence):
        refuse("hidden_units", rule, hidden_units)
    return integers(
        "hidden_units", hidden_units, rule, least=1, most=LARGEST_WIDTH, most_items=MOST_LAYERS
    )


def check_budget(match_parameters: int | None, name: str = "match_parameters") -> int | None:
    """Returns `match_parameters` as an int, or None.

    Raises:
        ValueError: Unless it is None or a positive integer up to 100,000,000.
    """
    return (
        None
        if match_parameters is None
        else positive_integer(name, match_parameters, LARGEST_BUDGET)
    )


def build_with_widths(
    build: Callable[[tuple[int, ...]], keras.Model],
    hidden_units: Sequence[int],
    match_parameters: int | None,
) -> keras.Model:
    """Builds a model with the given widths, or with the widths that best meet a budget.

    Widths keep the proportions of `hidden_units` while they are scaled; the number of parameters
    grows with the scale, so that there are two neighbours of the budget. The choice is printed; a
    `UserWarning` tells where it misses the budget by more than 5 %.

    Args:
        build: Makes the model from a tuple of widths.
        hidden_units: Widths, or their proportions when there is a budget.
        match_parameters: Number of trained parameters to come closest to; None takes `hidden_units`
            as is.

    Raises:
        ValueError: If `match_parameters` is no positive integer up to 100,000,000, or smaller than
            the smallest model.
    """
    hidden_units = check_hidden_units(hidden_units)
    match_parameters = check_budget(match_parameters)
    if match_parameters is None:
        return build(hidden_units)

    def scaled(first: int) -> tuple[int, ...]:
        return tuple(max(1, round(u * first / hidden_units[0])) for u in hidden_units)

    smallest = build(scaled(1))
    sizes = {1: trained_parameters(smallest)}
    if sizes[1] > match_parameters:
        raise ValueError(
            f"`match_parameters` must be at least {sizes[1]}, the size of the smallest model of "
            f"this kind. Received: match_parameters={match_parameters}"
        )
    low, high = (1, smallest), None
    while high is None or high[0] - low[0] > 1:
        guess = _guess(sizes, match_parameters, low[0], None if high is None else high[0])
        model = build(scaled(guess))
        sizes[guess] = trained_parameters(model)
        if sizes[guess] <= match_parameters:
            low = guess, model
        else:
            high = guess, model
    scale, model = min(low, high, key=lambda found: abs(sizes[found[0]] - match_parameters))
    widths, count = scaled(scale), sizes[scale]
    change = count / match_parameters - 1
    _print_once(
        f"{model.name}: hidden_units={widths}, {count:,} parameters "
        f"({100 * change:+.1f} % of the budget of {match_parameters:,})"
    )
    if abs(change) > _TOLERANCE:
        warnings.warn(
            f"{model.name} misses its budget: match_parameters={match_parameters}, but the nearest "
            f"model has {count} parameters ({100 * change:+.1f} %), with hidden_units={widths}. "
            "Other proportions of hidden_units may come nearer",
            stacklevel=2,
        )
    return model


def _guess(sizes: dict[int, int], budget: int, low: int, high: int | None) -> int:
    """A scale between two others, the lower of which meets the budget and the higher exceeds it.

    Parameters grow with the square of the widths, but for rounding: the parabola through the three
    last sizes tells where they meet the budget. Where it does not, doubling and halving do.
    """
    patient = len(sizes) <= 12
    if len(sizes) < 3:
        return 2 * low if high is None else low + 1
    (x, f), (y, g), (z, h) = list(sizes.items())[-3:]
    slope, other = (g - f) / (y - x), (h - g) / (z - y)
    curvature = (other - slope) / (z - x)
    slope -= curvature * (x + y)
    constant = f - x * (slope + curvature * x)
    root = slope**2 - 4 * curvature * (constant - budget)
    meets = root >= 0 and slope + math.sqrt(root) > 0
    guess = int(2 * (budget - constant) / (slope + math.sqrt(root))) if meets else 0
    if high is None:
        # Far beyond what is known the parabola may be far off.
        return min(max(guess, low + 1 if patient and meets else 2 * low), 8 * low)
    return min(max(guess, low + 1), high - 1) if patient else (low + high) // 2


@functools.cache
def _print_once(line: str) -> None:
    """Many runs of one experiment build the same model."""
    print(line)


def trained_parameters(model: keras.Model) -> int:
    """The number of trained parameters of `model`: a sampled basis does not count."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)
