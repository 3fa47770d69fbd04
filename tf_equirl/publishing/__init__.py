"""From a finished run to a model of the zoo: its card, its pages, its verification."""

from tf_equirl.publishing.card_page import card_to_markdown
from tf_equirl.publishing.card_tables import table, write_table
from tf_equirl.publishing.cards import write_index, write_readme
from tf_equirl.publishing.entry import is_own, type_of_run
from tf_equirl.publishing.policy import publish
from tf_equirl.publishing.transition_model import publish_transition_model
from tf_equirl.publishing.verification import verify_score

__all__ = [
    "card_to_markdown",
    "is_own",
    "publish",
    "publish_transition_model",
    "table",
    "type_of_run",
    "verify_score",
    "write_index",
    "write_readme",
    "write_table",
]
