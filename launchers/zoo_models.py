"""Lists the pretrained models, shows their cards, and checks that they keep what these promise.

python -m launchers.zoo_models
python -m launchers.zoo_models --show=cartpole-ppo-gcnn
python -m launchers.zoo_models --verify
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich
from absl import flags
from rich.markup import escape
from rich.table import Table

from . import common

_LIST = flags.DEFINE_bool("list", False, "list the models; the default")
_SHOW = flags.DEFINE_string("show", None, "name of the model whose card is shown")
_VERIFY = flags.DEFINE_bool(
    "verify",
    False,
    "check every checksum, compare outputs with the stored ones, play the episodes and predict the "
    "transitions of every card again",
)
_WRITE_TABLE = flags.DEFINE_bool(
    "write_table",
    False,
    "in a checkout: write again what is made from the cards, which are every README.md and "
    "index.json of the zoo, and the benchmark tables in docs/zoo.md",
)
_ZOO_DIR = flags.DEFINE_string(
    "zoo_dir", None, "folder of the models (default: those that come with tf_equirl)"
)


def main() -> None:
    """Does what the flags ask for; lists the models if they ask for nothing."""
    from tf_equirl import zoo

    folder = Path(_ZOO_DIR.value) if _ZOO_DIR.value else zoo.default_folder()
    if _WRITE_TABLE.value:
        _write_table(folder)
    if _LIST.value or not (_SHOW.value or _VERIFY.value or _WRITE_TABLE.value):
        _list(folder)
    if _SHOW.value:
        _show(zoo.card(_SHOW.value, folder))
    if _VERIFY.value:
        _verify(folder)


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "What was written is whole; the same command goes on.")


def _show(card: dict[str, Any]) -> None:
    from rich.markdown import Markdown

    from tf_equirl import publishing

    rich.print(Markdown(publishing.card_to_markdown(card)))


def _list(folder: Path) -> None:
    from tf_equirl import zoo

    cards = [zoo.card(name, folder) for name in zoo.list(folder)]
    policies = [card for card in cards if zoo.type_of(card) == zoo.POLICY]
    others = [card for card in cards if zoo.type_of(card) == zoo.TRANSITION_MODEL]
    table = _table(escape(str(folder)), ["actor"], ["greedy", "sampled"], policies)
    for card in policies:
        returns = [f"{card['evaluation'][kind]['mean']:.6g}" for kind in ("greedy", "sampled")]
        kind = card["networks"]["actor"]["kind"]
        table.add_row(*map(escape, [card["name"], card["environment"]["name"], kind, *returns]))
    rich.print(table)
    if not others:
        return
    title = "transition models: mean square error or cross-entropy, of fresh transitions"
    table = _table(title, ["kind"], ["error", "accuracy"], others)
    for card in others:
        metrics, loss = card["evaluation"]["metrics"], card["head"]["metrics"][0]
        accuracy = f"{metrics['accuracy']['mean']:.4g}" if "accuracy" in metrics else ""
        kind = card["networks"]["transition"]["kind"]
        cells = [card["name"], card["environment"]["name"], kind, f"{metrics[loss]['mean']:.4g}"]
        table.add_row(*map(escape, [*cells, accuracy]))
    rich.print(table)


def _table(title: str, texts: list[str], numbers: list[str], cards: list[dict]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("model", min_width=max((len(card["name"]) for card in cards), default=0))
    for heading in ("environment", *texts):
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _verify(folder: Path) -> None:
    from tf_equirl import publishing, zoo

    names = zoo.list(folder)
    failures = []
    for name in names:
        try:
            records = zoo.verify(name, folder)
            size = sum(record["bytes"] for record in records.values())
            print(f"{name}: {len(records)} files, {size:,} bytes, checksums agree", flush=True)
            print(
                f"  outputs differ from the stored ones by {zoo.verify_outputs(name, folder):.1e}"
            )
            _print_score(publishing.verify_score(name, folder))
        except ValueError as error:
            failures.append(name)
            print(f"{name}: FAILED: {error}", flush=True)
    if failures:
        raise ValueError(
            f"every model must be as its card says. Received: {len(failures)} of {len(names)} that "
            f"are not: {', '.join(failures)}"
        )
    print(f"{len(names)} models are as their cards say")


def _print_score(found: dict[str, Any]) -> None:
    if "metrics" in found:  # of a transition model
        for metric, scores in found["metrics"].items():
            print(
                f"  {metric.replace('_', ' ')}: {scores['mean']:.4g} over "
                f"{found['transitions']:,} transitions, as the card says"
            )
        return
    for kind, evaluation in found.items():
        print(
            f"  {kind}: mean return {evaluation.mean:.6g} over "
            f"{len(evaluation.returns):,} episodes, as the card says"
        )


def _write_table(folder: Path) -> None:
    from tf_equirl import publishing, zoo

    for card in sorted(folder.glob("*/card.json")):
        print(f"written: {publishing.write_readme(card.parent)}")
    print(f"written: {publishing.write_index(folder)}")
    page = folder.parent / "docs" / "zoo.md"
    if publishing.is_own(folder) and not page.exists():
        return  # a zoo of one's own need not have a page of tables
    publishing.write_table(page, [zoo.card(name, folder) for name in zoo.list(folder)])
    print(f"written: {page}")


if __name__ == "__main__":
    run()
