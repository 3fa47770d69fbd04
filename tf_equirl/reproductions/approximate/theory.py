"""Catch, broken by degrees: what that costs by dynamic programming, and bounds on it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tf_equirl import envs
from tf_equirl.envs import SymmetryGaps
from tf_equirl.envs.breaking import BREAKINGS
from tf_equirl.experiments.tables import markdown_table

STRENGTHS = (0.1, 0.25, 0.5, 0.75, 1.0)


class Theory(NamedTuple):
    """What is computed: by kind of breaking and strength.

    Attributes:
        kinds: Of breaking.
        strengths: From 0, not broken, to 1.
    """

    kinds: tuple[str, ...] = BREAKINGS[1:]
    strengths: tuple[float, ...] = STRENGTHS

    def gaps(self) -> dict[tuple[str, float], SymmetryGaps]:
        """By kind and strength, exactly."""
        return {
            (kind, kappa): envs.symmetry_gaps(envs.Catch(breaking=kind, kappa=kappa))
            for kind in self.kinds
            for kappa in self.strengths
        }


def theory_rows(found: dict[tuple[str, float], SymmetryGaps]) -> list[dict[str, Any]]:
    """A row for each kind and strength."""
    return [
        {
            "breaking": kind,
            "kappa": kappa,
            "orbit_gap": float(gaps.gap[-1]),
            "mean_orbit_gap": float(gaps.mean_gap[-1]),
            "bound_of_the_paper": float(gaps.uniform_bound[-1]),
            "pointwise_bound": float(gaps.pointwise_bound[-1]),
            "mean_pointwise_bound": float(gaps.pointwise_mean[-1]),
            "price": gaps.price,
            "optimal_return": gaps.optimal,
            "equivariant_return": gaps.symmetric,
            "random_return": gaps.uniform,
            "loss": gaps.loss,
        }
        for (kind, kappa), gaps in found.items()
    ]


def theory_markdown(rows: list[dict[str, Any]]) -> str:
    """The page."""
    cells = [
        [
            row["breaking"],
            f"{row['kappa']:g}",
            f"{row['orbit_gap']:.2f} ({row['mean_orbit_gap']:.3f})",
            f"{row['bound_of_the_paper']:.1f}",
            f"{row['pointwise_bound']:.1f} ({row['mean_pointwise_bound']:.2f})",
            f"{row['price']:.2f}",
            f"{row['optimal_return']:.3f}",
            f"{row['equivariant_return']:.3f}",
            f"{100 * row['loss']:.1f} %",
        ]
        for row in rows
    ]
    head = ["broken by", "kappa", "orbit gap (mean)", "bound of the paper", "ours (mean)", "price"]
    head += ["optimum", "equivariant", "loss"]
    return (
        "**Catch, 10 x 5 cells, broken by degrees**: exactly, by dynamic programming. *Orbit "
        "gap*: the largest of |Q*(g s, g a) - Q*(s, a)|, in brackets the mean; the *bound of "
        "the paper* (proposition 3, total variation) and *ours*, which takes the differences of "
        "rewards and probabilities where they are. *Price*: what an exactly invariant critic "
        "errs by somewhere, at least, half of the gap. *Optimum*: the largest expected return; "
        "*equivariant*: that of the best policy of the game averaged with its mirror image, "
        "which is equivariant; *loss*: what that gives up of what there is to learn beyond "
        "random actions.\n\n" + markdown_table(head, cells) + "\n"
    )
