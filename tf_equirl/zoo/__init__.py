"""Pretrained models by name, each with a card that says what it is.

    from tf_equirl import zoo

    zoo.list()
    entry = zoo.load("cartpole-ppo-gcnn")  # entry.actor, entry.critic, entry.card

It needs neither tf-agents nor matplotlib. The functions that take a name take `folder=`, too: a zoo
other than the one that comes with the package.
"""

from .card_rules import NAME, success_return, validate_card
from .cards import card_to_markdown, table, write_index, write_readme, write_table
from .store import ZooEntry, card, default_folder, load, load_model, path, verify
from .store import names as list
from .verification import verify_outputs, verify_score

__all__ = [
    "NAME",
    "ZooEntry",
    "card",
    "card_to_markdown",
    "default_folder",
    "list",
    "load",
    "load_model",
    "path",
    "success_return",
    "table",
    "validate_card",
    "verify",
    "verify_outputs",
    "verify_score",
    "write_index",
    "write_readme",
    "write_table",
]
