"""What the zoo holds: policies with their critics, and transition models."""

from __future__ import annotations

from typing import Any, NamedTuple


class CardType(NamedTuple):
    """One of the two things that a card can describe.

    Attributes:
        text: The value of the card's field `type`; what a `must_be` names.
        inputs: What its networks are called with, by the names of the arrays in `golden.npz`.
        outputs: Its networks, each with the name of its outputs in `golden.npz`. The first network
            is the one that its kind is told by; `<network>.keras` is its file.
    """

    text: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]


POLICY = CardType("policy", ("observations",), {"actor": "logits", "critic": "values"})
TRANSITION_MODEL = CardType(
    "transition model", ("observations", "actions"), {"transition": "outputs"}
)
CARD_TYPES = {card_type.text: card_type for card_type in (POLICY, TRANSITION_MODEL)}


def type_of(card: dict[str, Any]) -> CardType:
    """What a card describes. Without the field `type`, which came later, it is a policy.

    Raises:
        ValueError: For another type than those known here.
    """
    text = card.get("type", POLICY.text)
    if not isinstance(text, str) or text not in CARD_TYPES:
        raise ValueError(
            f"the card's field `type` must be one of: {', '.join(CARD_TYPES)}. Received: {text!r}"
        )
    return CARD_TYPES[text]


def main_kind(card: dict[str, Any]) -> str:
    """The kind of network that a model is told by: its actor's or its transition model's."""
    return card["networks"][next(iter(type_of(card).outputs))]["kind"]
