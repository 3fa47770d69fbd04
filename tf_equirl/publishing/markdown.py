"""Pieces of Markdown that the cards' pages and tables are made of."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

_CODE = re.compile(r"((?<!`)`[^`]+`(?!`))")
# What would be HTML, emphasis, or a link with a target of its own, anywhere in a line.
_SPECIAL = re.compile(r"[\\`*~]|\](?=[(\[:])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITY = re.compile(r"&(?=[#A-Za-z])")


def text(value: str) -> str:
    """A text of a card as Markdown that shows just this text, but for `code`, on one line."""
    pieces = _CODE.split(" ".join(value.split()))
    pieces[::2] = [_escape(piece) for piece in pieces[::2]]  # nothing works inside of code
    line = "".join(pieces)
    if line[:1] in tuple("#>+=|[-"):
        return f"\\{line}"
    return re.sub(r"^(\d{1,9})(?=[.)])", r"\1\\", line)


def _escape(value: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", _ENTITY.sub("&amp;", value)).replace("<", "&lt;")


def with_error(scores: dict[str, Any], mean: str = "mean") -> str:
    """A mean ± its standard error, to two digits of the error."""
    error = scores["standard_error"]
    if not error or error < 1e-300:  # of equal returns, or of a single seed
        return f"{scores[mean]:.6g}" + ("" if error is None else " ± 0")
    decimals = max(0, 1 - math.floor(math.log10(error)))
    exponent = math.floor(math.log10(max(abs(scores[mean]), error)))
    if exponent > -4:
        return f"{scores[mean]:.{decimals}f} ± {error:.{decimals}f}"
    scale, decimals = 10.0**exponent, decimals + exponent  # the error of a good prediction
    return f"({scores[mean] / scale:.{decimals}f} ± {error / scale:.{decimals}f})e{exponent:03d}"


def percent(share: float) -> str:
    """A share in percent; 100 % is only for all of them."""
    return f"{100 * share:.4g} %" if share in (0, 1) else f"{min(100 * share, 99.99):.2f} %"


def shapes(network: dict[str, Any]) -> str:
    """What a network turns into what: "[batch, 4] to [batch, 2]"."""
    given = network["input_shape"]
    given = given if isinstance(given[0], list) else [given]
    return f"{' and '.join(map(_batch, given))} to {_batch(network['output_shape'])}"


def _batch(shape: Sequence[int]) -> str:
    return f"[batch, {', '.join(map(str, shape))}]"


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Consecutive seeds as "0 to 15"."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def inline(config: dict[str, Any]) -> str:
    """A configuration in a line."""
    return text(", ".join(f"{key} {json.dumps(value)}" for key, value in config.items()))


def code(text: str) -> str:
    """An indented block, which no text inside can end."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def rows(headings: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table."""
    safe = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in cells]
    return tabulate(safe, headings, tablefmt="github", disable_numparse=True)
