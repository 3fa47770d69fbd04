"""What is written from the cards: each model's `README.md`, the index, the benchmark table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tf_equirl._files import write_text_atomically
from tf_equirl.zoo.card_rules import NAME, success_return, validate_card
from tf_equirl.zoo.records import (
    CARD,
    FORMAT,
    INDEX,
    NOT_IN_CARD,
    README,
    check_file,
    file_record,
    read_json,
)

__all__ = [
    "card_to_markdown",
    "success_return",
    "table",
    "validate_card",
    "write_index",
    "write_readme",
    "write_table",
]

TABLE_START = (
    "<!-- zoo table: start (written by `python -m launchers.zoo_models --write_table`) -->"
)
TABLE_END = "<!-- zoo table: end -->"


def card_to_markdown(card: dict[str, Any]) -> str:
    """The text of a model's `README.md`.

    Raises:
      ValueError: if the card breaks the rules of `validate_card`.
    """
    validate_card(card)
    name, environment, symmetry = card["name"], card["environment"], card["symmetry"]
    training, networks = card["training"], card["networks"]
    evaluation, equivariance = card["evaluation"], card["equivariance"]
    of = f" ({training['mean_return_of']})" if "mean_return_of" in training else ""
    lines = [
        f"# {name}",
        card["description"],
        *(
            f"![{Path(file).stem.replace('_', ' ')}]({file})"
            for file in sorted(card["files"], reverse=True)  # learning curve before episode
            if file.endswith((".png", ".gif"))
        ),
        "This page is written from [card.json](card.json).",
        "## Use",
        card["use"],
        "```python\n"
        "from tf_equirl import zoo\n\n"
        f'entry = zoo.load("{name}")\n'
        f"logits = entry.actor(observations)  # {_shapes(networks['actor'])}\n"
        f"values = entry.critic(observations)  # {_shapes(networks['critic'])}\n"
        "```",
        'After `import tf_equirl`, `keras.models.load_model("actor.keras")` does as well.',
        "## What it is",
        _rows(
            ["", ""],
            [
                [
                    "environment",
                    f"{environment['name']}, in gymnasium {environment['gymnasium_id']}",
                ],
                ["its settings", _inline(environment["config"])],
                ["symmetry group", symmetry["group"]],
                ["acts on states", symmetry["state"]],
                ["acts on actions", symmetry["action"]],
            ],
        ),
        _rows(
            ["network", "kind", "parameters", "shapes", "meaning", "class"],
            [
                [
                    role,
                    networks[role]["kind"],
                    f"{networks[role]['parameters']:,}",
                    _shapes(networks[role]),
                    networks[role]["meaning"],
                    networks[role]["class"],
                ]
                for role in ("actor", "critic")
            ],
        ),
        *(
            f"Layers of the {role}: {'; '.join(networks[role]['layers'])}."
            for role in ("actor", "critic")
            if networks[role].get("layers")
        ),
        "Groups and representations stand in `card.json` as data, under `symmetry.data`: "
        "`tf_equirl.groups.Symmetry.from_config` reads them.",
        "## Evaluation",
        "Return of whole episodes, mean ± standard error over episodes. Greedy takes the action of "
        "the largest logit, sampled draws it from their softmax.",
        _rows(
            ["actions", "episodes", "seed", "return", "minimum", "maximum", "success", "means"],
            [
                [
                    kind,
                    f"{scores['episodes']:,}",
                    str(scores["seed"]),
                    _with_error(scores),
                    f"{scores['minimum']:g}",
                    f"{scores['maximum']:g}",
                    _percent(scores["success_rate"]),
                    scores["success"],
                ]
                for kind, scores in ((kind, evaluation[kind]) for kind in ("greedy", "sampled"))
            ],
        ),
        f"Equivariance error on {equivariance['states']:,} states together, as a share of the "
        "output's norm, over the group elements but the identity:",
        _rows(
            ["", "largest", "mean"],
            [
                [role, f"{equivariance[role]['max']:.1e}", f"{equivariance[role]['mean']:.1e}"]
                for role in ("actor", "critic")
            ],
        ),
        "## Training",
        f"Seeds {_seeds(training['seeds'])} were trained for {training['timesteps']:,} steps each. "
        f"Their mean return{of} ± standard error over {training['num_seeds']} "
        f"{'seed' if training['num_seeds'] == 1 else 'seeds'}: "
        f"{_with_error(training, 'mean_return')}.",
        f"Kept here: seed {training['kept_seed']}. Rule: {training['rule']}",
        "To train it again, and to write this folder from the run, in a checkout of the commit:",
        _code(f"{training['command']}\n{training['publish_command']}"),
        f"Commit: {training['git_commit'] or 'not recorded'}. Versions: "
        f"{', '.join(f'{k} {v}' for k, v in training['versions'].items())}.",
        "The full configuration:",
        _code(json.dumps(card["config"], indent=2)),
        "## Limits",
        "\n".join(f"- {limit}" for limit in card["limits"]),
        "## Licence",
        card["licence"],
        "## Files",
        _rows(
            ["file", "bytes", "SHA-256"],
            [
                [file, f"{record['bytes']:,}", f"`{record['sha256']}`"]
                for file, record in sorted(card["files"].items())
            ],
        ),
    ]
    return "\n\n".join(lines) + "\n"


def table(cards: Iterable[dict[str, Any]], link: str | None = None) -> str:
    """The benchmark table of `docs/zoo.md`, in Markdown.

    Args:
      cards: the cards, in the order of the rows.
      link: path of the zoo relative to the page; if given, names link to the models' pages.

    Raises:
      ValueError: if a card breaks the rules of `validate_card`.
    """
    rows = []
    for card in cards:
        validate_card(card)
        networks, training, scores = card["networks"], card["training"], card["evaluation"]
        rows.append(
            [
                f"[{card['name']}]({link}/{card['name']}/{README})" if link else card["name"],
                card["environment"]["name"],
                networks["actor"]["kind"],
                networks["critic"]["kind"],
                " + ".join(f"{networks[role]['parameters']:,}" for role in ("actor", "critic")),
                f"{training['timesteps']:,}",
                str(training["num_seeds"]),
                _with_error(training, "mean_return"),
                _with_error(scores["greedy"]),
                _percent(scores["greedy"]["success_rate"]),
                _with_error(scores["sampled"]),
                f"{card['equivariance']['actor']['max']:.1e}",
                f"{sum(record['bytes'] for record in card['files'].values()) / 1000:,.0f} kB",
            ]
        )
    headings = ["model", "environment", "actor", "critic", "parameters", "steps", "seeds"]
    headings += ["all seeds", "greedy", "success", "sampled", "equivariance error", "size"]
    return _rows(headings, rows) + "\n"


def write_readme(path: str | os.PathLike) -> Path:
    """Writes the `README.md` of a model's folder from its `card.json`.

    Raises:
      ValueError: if there is no card, or it breaks the rules of `validate_card`.
    """
    file = Path(path) / README
    write_text_atomically(file, card_to_markdown(read_json(Path(path) / CARD)))
    return file


def write_index(folder: str | os.PathLike) -> Path:
    """Writes `index.json` anew from the cards and files of all models in a zoo's folder.

    Raises:
      ValueError: if a card is missing or breaks the rules of `validate_card`, is not named like
        its folder, or gives checksums that are not those of the files beside it. Then nothing is
        written.
    """
    models = {}
    for place in sorted(Path(folder).iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        card = read_json(place / CARD)
        validate_card(card)
        if card["name"] != place.name or not NAME.fullmatch(place.name):
            raise ValueError(
                f"{place} must be called like its model. Received: name={card['name']!r}"
            )
        files = sorted(file for file in place.iterdir() if not file.name.startswith("."))
        if place / README not in files:
            raise ValueError(f"{place / README} must exist. Received: no such file")
        for name in sorted({*card["files"], *(f.name for f in files)} - set(NOT_IN_CARD)):
            check_file(place / name, card["files"], str(place / CARD))
        models[place.name] = {
            "description": card["description"],
            "environment": card["environment"]["name"],
            "kind": card["networks"]["actor"]["kind"],
            "files": {file.name: file_record(file) for file in files},
        }
    index = Path(folder) / INDEX
    text = json.dumps({"format": FORMAT, "models": models}, indent=2, sort_keys=True)
    write_text_atomically(index, text + "\n")
    return index


def write_table(page: str | os.PathLike, cards: Iterable[dict[str, Any]]) -> str:
    """Puts the benchmark table between its two markers in a Markdown page.

    Args:
      page: the page, in a folder beside the zoo's.
      cards: as in `table`.

    Returns:
      The page's new text.

    Raises:
      ValueError: if the page is not there, or has not both markers, each once and in order.
    """
    file = Path(page)
    if not file.is_file():
        raise ValueError(f"`page` must be a file. Received: page={file}")
    text = file.read_text(encoding="utf-8")
    before, start, rest = text.partition(TABLE_START)
    _, end, after = rest.partition(TABLE_END)
    if not start or not end or TABLE_START in rest or TABLE_END in before + after:
        raise ValueError(
            f"`page` must have the lines {TABLE_START} and {TABLE_END}, once each. "
            f"Received: page={file}"
        )
    text = f"{before}{start}\n\n{table(cards, '../zoo')}\n{end}{after}"
    write_text_atomically(file, text)
    return text


def _with_error(scores: dict[str, Any], mean: str = "mean") -> str:
    """A mean ± its standard error, to two digits of the error."""
    error = scores["standard_error"]
    if not error:  # of equal returns, or of a single seed
        return f"{scores[mean]:.6g}" + ("" if error is None else " ± 0")
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{scores[mean]:.{decimals}f} ± {error:.{decimals}f}"


def _percent(share: float) -> str:
    """A share in percent; 100 % is only for all of them."""
    return f"{100 * share:.4g} %" if share in (0, 1) else f"{min(100 * share, 99.99):.2f} %"


def _shapes(network: dict[str, Any]) -> str:
    given, made = (", ".join(map(str, network[f"{end}_shape"])) for end in ("input", "output"))
    return f"[batch, {given}] to [batch, {made}]"


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _inline(config: dict[str, Any]) -> str:
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in config.items())


def _code(text: str) -> str:
    """An indented block, which no text inside can end."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    safe = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(safe, headings, tablefmt="github", disable_numparse=True)
