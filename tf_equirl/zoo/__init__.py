"""Pretrained models by name, each with a card that says what it is.

    from tf_equirl import zoo

    zoo.list()
    entry = zoo.load("cartpole-ppo-gcnn")  # entry.actor, entry.critic, entry.card
    entry = zoo.load("cartpole-transition-gcnn")  # entry.transition_model, entry.card

It needs neither tf-agents nor matplotlib. The functions that take a name take `folder=`, too: a zoo
other than the one that comes with the package.
"""

from tf_equirl.zoo.card_rules import NAME, success_return, validate_card
from tf_equirl.zoo.card_types import POLICY, TRANSITION_MODEL, CardType, type_of
from tf_equirl.zoo.golden import verify_outputs
from tf_equirl.zoo.store import ZooEntry, card, default_folder, load, load_model, path, verify
from tf_equirl.zoo.store import names as list

__all__ = [
    "NAME",
    "POLICY",
    "TRANSITION_MODEL",
    "CardType",
    "ZooEntry",
    "card",
    "default_folder",
    "list",
    "load",
    "load_model",
    "path",
    "success_return",
    "type_of",
    "validate_card",
    "verify",
    "verify_outputs",
]
