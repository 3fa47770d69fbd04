"""Draws the pictures of docs/concepts.md: `python tools/make_concept_pictures.py`.

They are written to `docs/images/concept_*.png`. Tables, matrices and features are those that the
library computes, so that the pictures say what the code does. No number is random.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from PIL import Image

from tf_equirl.experiments.plots import COLORS, new_figure
from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    cyclic_group,
    dihedral_group,
    regular_representation,
    symmetric_group,
)

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
BLUE, ORANGE = COLORS[:2]
GREY = "#666666"
# One for each element: Okabe and Ito's eight with a light grey for black, on which dark text is
# legible. Every cell says its number, too.
ELEMENTS = ("#D9D9D9", "#56B4E9", "#E69F00", "#F0E442", "#009E73", "#CC79A7", "#0072B2", "#D55E00")
DARK = ELEMENTS[6:]


def main() -> None:
    """Draws every picture and says which files it wrote."""
    pictures = {
        "cartpole": cartpole(),
        "d4": letters(),
        "cayley": cayley_tables(),
        "square": commuting_square(),
        "lifting": lifting(),
        "sharing": weight_sharing(),
    }
    for name, figure in pictures.items():
        file = IMAGES / f"concept_{name}.png"
        save(figure, file)
        print(f"wrote {file.name}, {file.stat().st_size / 1000:.0f} kB")


def save(figure: Figure, file: Path) -> None:
    """Writes a PNG of 64 colours, which is a third as large and looks the same."""
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    Image.open(image).convert("RGB").quantize(64).save(file, optimize=True)


def cartpole() -> Figure:
    """CartPole, and what a mirror shows of it."""
    figure = new_figure(8, 2.6)
    left, right = figure.subplots(1, 2)
    draw_cartpole(left, 1, "state $s$: cart and pole on the right", 'action 1, "push right"')
    draw_cartpole(right, -1, "state $-s$: cart and pole on the left", 'action 0, "push left"')
    for axes, sign in ((left, ""), (right, "-")):
        numbers = ", ".join(f"{sign}{x}" for x in ("0.8", "0.5", "0.3", "0.6"))
        axes.text(0, -0.7, f"$(x, v, \\theta, \\omega)$ = ({numbers})", ha="center", va="top")
    figure.get_layout_engine().set(wspace=0.12)
    return figure


def draw_cartpole(axes: Axes, sign: int, title: str, action: str) -> None:
    """A cart at `sign` times 0.8 with a pole that leans outwards, and the push."""
    canvas(axes, (-2.4, 2.4), (-1.0, 1.65), title)
    axes.plot([-2.4, 2.4], [0, 0], color=GREY, linewidth=1)
    axes.plot([0, 0], [0, 1.6], color=GREY, linewidth=1, linestyle=(0, (4, 4)))
    x = 0.8 * sign
    axes.add_patch(Rectangle((x - 0.3, -0.15), 0.6, 0.3, facecolor=BLUE, zorder=2))
    tip = x + 1.3 * np.sin(0.3) * sign, 1.3 * np.cos(0.3)
    axes.plot([x, tip[0]], [0.15, tip[1]], color=ORANGE, linewidth=6, solid_capstyle="round")
    arrow(axes, (x - 1.1 * sign, 0.06), (x - 0.32 * sign, 0.06), color="black")
    axes.text(x - 0.66 * sign, -0.25, action, ha="center", va="top")


def letters() -> Figure:
    """What the eight elements of D4 do to a letter."""
    group = dihedral_group(4)
    plane = Representation.from_generators(group, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
    outline = [(-4, -6), (-4, 6), (5, 6), (5, 3), (-1, 3), (-1, 1), (3, 1), (3, -2), (-1, -2)]
    letter = np.array([*outline, (-1, -6)]) / 10
    names = ("$e$", "$r$", "$r^2$", "$r^3$", "$s$", "$r s$", "$r^2 s$", "$r^3 s$")
    figure = new_figure(7, 3.9)
    for g, axes in enumerate(figure.subplots(2, 4).flat):
        canvas(axes, (-1.05, 1.05), (-1.05, 1.05), f"{g}:  {names[g]}")
        axes.add_patch(Rectangle((-0.9, -0.9), 1.8, 1.8, fill=False, edgecolor=GREY))
        axes.add_patch(Polygon(plane.act(g, letter), facecolor=BLUE if g < 4 else ORANGE))
        if g >= 4:  # r^k s leaves the line at k times 45 degrees where it is
            end = np.array([np.cos((g - 4) * np.pi / 4), np.sin((g - 4) * np.pi / 4)])
            end *= 0.9 / np.abs(end).max()
            axes.plot(*zip(-end, end, strict=True), color="black", linestyle=(0, (4, 3)), lw=1)
    return figure


def cayley_tables() -> Figure:
    """Multiplication tables; a dot where the order of the factors matters."""
    figure = new_figure(9, 3.6)
    groups = (cyclic_group(4), symmetric_group(3), dihedral_group(4))
    for axes, group in zip(figure.subplots(1, 3), groups, strict=True):
        cells(axes, group.table)
        for i, j in np.argwhere(group.table != group.table.T):
            axes.add_patch(Circle((j + 0.34, i + 0.34), 0.07, color=text_color(group.table[i, j])))
        kind = "abelian" if np.array_equal(group.table, group.table.T) else "not abelian"
        axes.set_title(f"{group.name}, {kind}")
        axes.set_xlabel("$j$")
        axes.set_ylabel("$i$", rotation=0)
    return figure


def commuting_square() -> Figure:
    """An equivariant policy: first mirror, then act is first act, then mirror."""
    figure = new_figure(7, 3.3)
    axes = figure.subplots()
    canvas(axes, (-0.2, 10.2), (-0.2, 4.9), "", equal=False)
    boxes = {
        (1.8, 4): "state $s$\nthe pole leans right",
        (8.2, 4): "policy $\\pi(s)$\nleft 20 %, right 80 %",
        (1.8, 0.7): "state $\\rho_S(g)\\,s = -s$\nthe pole leans left",
        (8.2, 0.7): "policy $\\pi(-s)$\nleft 80 %, right 20 %",
    }
    for (x, y), text in boxes.items():
        style = "round,pad=0,rounding_size=0.15"
        frame = FancyBboxPatch((x - 1.8, y - 0.65), 3.6, 1.3, style, fc="#EEF4FA", ec=BLUE)
        axes.add_patch(frame)
        axes.text(x, y, text, ha="center", va="center", linespacing=1.5)
    for y in (4, 0.7):
        arrow(axes, (3.7, y), (6.3, y), color=BLUE)
        axes.text(5, y + 0.12, "network $\\pi$", ha="center", va="bottom", color=BLUE)
    for x in (1.8, 8.2):
        arrow(axes, (x, 3.25), (x, 1.45), color=ORANGE)
    axes.text(2.0, 2.35, "$\\rho_S(g)$: change signs", va="center", color=ORANGE)
    axes.text(8.0, 2.35, "$\\rho_A(g)$: swap", va="center", ha="right", color=ORANGE)
    return figure


def lifting() -> Figure:
    """A vector of the plane, lifted to C4, before and after a turn by 90 degrees."""
    group = cyclic_group(4)
    plane = Representation.from_generators(group, {1: [[0, -1], [1, 0]]})
    weights = np.array([[1.0, 0.5, -1.0], [0.0, 1.0, 0.5]])
    state = np.array([1.0, 0.4])

    def lift(s: np.ndarray) -> np.ndarray:
        return np.stack([plane.act(g, s) @ weights for g in group.inverses])

    before, after = lift(state), lift(plane.act(1, state))
    came_from = regular_representation(group).act(1, np.arange(4))
    assert np.allclose(after, before[came_from])  # the law that the picture shows
    figure = new_figure(8, 2.6)
    shape = {"width_ratios": (1, 1.5, 1, 1.5)}
    one, two, three, four = figure.subplots(1, 4, gridspec_kw=shape)
    draw_vector(one, state, "$s$")
    draw_features(two, before, range(4), "lift$(s)$")
    draw_vector(three, plane.act(1, state), "$\\rho(g)\\,s$: turned")
    draw_features(four, after, came_from, "lift$(\\rho(g)\\,s)$: rows moved")
    return figure


def draw_vector(axes: Axes, vector: np.ndarray, title: str) -> None:
    """An arrow from the origin of the plane."""
    canvas(axes, (-1.25, 1.25), (-1.25, 1.25), title)
    axes.plot([-1.2, 1.2], [0, 0], color=GREY, linewidth=0.8)
    axes.plot([0, 0], [-1.2, 1.2], color=GREY, linewidth=0.8)
    arrow(axes, (0, 0), tuple(vector), color=ORANGE, width=2.5)


def draw_features(
    axes: Axes, features: np.ndarray, came_from: Sequence[int] | np.ndarray, title: str
) -> None:
    """Regular features [4, 3]; rows with the same numbers have the same colour."""
    canvas(axes, (-1.7, 2.6), (3.6, -0.9), title, equal=False)
    for i, row in enumerate(features):
        color = ELEMENTS[(0, 1, 2, 4)[came_from[i]]]
        axes.text(-0.65, i, f"row {i}", ha="right", va="center")
        for channel, value in enumerate(row):
            corner = (channel - 0.5, i - 0.45)
            axes.add_patch(Rectangle(corner, 1, 0.9, facecolor=color, edgecolor="white"))
            axes.text(channel, i, f"{value:.1f}", ha="center", va="center")
    axes.text(1, -0.55, "channels", ha="center", va="bottom", color=GREY)


def weight_sharing() -> Figure:
    """Which weight of a group convolution stands where in its matrix."""
    figure = new_figure(6.6, 3.6)
    groups: tuple[FiniteGroup, ...] = (cyclic_group(4), symmetric_group(3))
    for axes, group in zip(figure.subplots(1, 2), groups, strict=True):
        cells(axes, group.table[group.inverses])
        n = group.order
        axes.set_title(f"{group.name}: {n * n} entries, {n} weights")
        axes.set_xlabel("from row $j$")
        axes.set_ylabel("to row $i$")
    return figure


def cells(axes: Axes, numbers: np.ndarray) -> None:
    """A square table of elements, each in its colour and with its number."""
    count = len(numbers)
    for (i, j), number in np.ndenumerate(numbers):
        corner = (j - 0.5, i - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=ELEMENTS[number], edgecolor="white"))
        axes.text(j, i, str(number), ha="center", va="center", color=text_color(number))
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    axes.set(xticks=range(count), yticks=range(count))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.xaxis.set_label_position("top")
    for label in axes.get_yticklabels():
        label.set_verticalalignment("center")
    axes.spines[:].set_visible(False)


def text_color(number: int) -> str:
    """What is legible on the colour of an element."""
    return "white" if ELEMENTS[number] in DARK else "black"


def canvas(
    axes: Axes,
    columns: tuple[float, float],
    rows: tuple[float, float],
    title: str,
    equal: bool = True,
) -> None:
    """Axes to draw on, with neither frame nor numbers."""
    axes.set(xlim=columns, ylim=rows, aspect="equal" if equal else "auto")
    axes.axis("off")
    axes.set_title(title, fontsize=11)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    width: float = 1.8,
) -> None:
    """An arrow between two points."""
    style = {"arrowstyle": "-|>", "mutation_scale": 16, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color=color, linewidth=width, **style))


if __name__ == "__main__":
    main()
