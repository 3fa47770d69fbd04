"""Parameter budgets: the nearest widths, and a warning where they are far from the budget."""

import warnings

import pytest

from tf_equirl import envs, models
from tf_equirl.models.widths import trained_parameters

SYMMETRY = envs.make("CartPole").symmetry


def sizes(kind, proportions, first):
    widths = tuple(round(u * first / proportions[0]) for u in proportions)
    return trained_parameters(models.actor(SYMMETRY, kind, widths))


@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer"])
def test_a_budget_that_is_missed_by_more_than_five_percent_is_told(kind):
    """The budget in the middle between two neighbours that are far apart."""
    low, high = sizes(kind, (2, 2), 2), sizes(kind, (2, 2), 3)
    budget = (low + high) // 2
    with pytest.warns(UserWarning, match=f"match_parameters={budget}, but the nearest") as told:
        model = models.actor(SYMMETRY, kind, (2, 2), budget)
    count = trained_parameters(model)
    assert count in (low, high) and abs(count / budget - 1) > 0.05
    (message,) = [str(w.message) for w in told]
    assert f"has {count} parameters ({100 * (count / budget - 1):+.1f} %)" in message
    assert f"hidden_units={(2, 2) if count == low else (3, 3)}" in message


def test_a_budget_that_is_nearly_met_is_not():
    exact = sizes("gcnn", (2, 2), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for budget in (exact, round(0.96 * exact), round(1.04 * exact)):
            model = models.actor(SYMMETRY, "gcnn", (2, 2), budget)
            assert trained_parameters(model) == exact
