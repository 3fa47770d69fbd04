"""Actors and critics as ordinary Keras functional models, built from a `Symmetry`."""

from tf_equirl.models.actor import ACTOR_KINDS, actor
from tf_equirl.models.critic import CRITIC_KINDS, critic
from tf_equirl.models.initialization import fresh_weights, seeded

__all__ = ["ACTOR_KINDS", "CRITIC_KINDS", "actor", "critic", "fresh_weights", "seeded"]
