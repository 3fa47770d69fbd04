"""Pretrained models by name, each with a card that says what it is.

    from tf_equirl import zoo

    zoo.list()
    entry = zoo.load("cartpole-ppo-gcnn")  # entry.actor, entry.critic, entry.card
    entry = zoo.load("cartpole-transition-gcnn")  # entry.transition_model, entry.card

It needs neither tf-agents nor matplotlib. The functions that take a name take `folder=`, too: a zoo
other than the one that comes with the package.
"""

from .card_page import card_to_markdown
from .card_rules import NAME, success_return, validate_card
from .card_tables import table, write_table
from .card_types import POLICY, TRANSITION_MODEL, CardType, type_of
from .cards import write_index, write_readme
from .store import ZooEntry, card, default_folder, load, load_model, path, verify
from .store import names as list
from .verification import verify_outputs, verify_score

__all__ = [
    "NAME",
    "POLICY",
    "TRANSITION_MODEL",
    "CardType",
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
    "type_of",
    "validate_card",
    "verify",
    "verify_outputs",
    "verify_score",
    "write_index",
    "write_readme",
    "write_table",
]
