"""Networks as Keras functional models, built from a `Symmetry`: actors, critics, values of actions,
transition models."""

from tf_equirl._portable import save
from tf_equirl.models.actor import ACTOR_KINDS, DEVIATIONS, actor
from tf_equirl.models.averaged import averaged
from tf_equirl.models.convolutions import Convolutions
from tf_equirl.models.critic import CRITIC_KINDS, critic
from tf_equirl.models.initialization import fresh_weights, seeded, stacked_fresh_weights
from tf_equirl.models.q_function import (
    CONTINUOUS_Q_FUNCTION_KINDS,
    Q_FUNCTION_KINDS,
    q_function,
)
from tf_equirl.models.relaxation import RELAXED_KINDS, Relaxation
from tf_equirl.models.transition import TRANSITION_KINDS, transition_model

__all__ = [
    "ACTOR_KINDS",
    "CONTINUOUS_Q_FUNCTION_KINDS",
    "CRITIC_KINDS",
    "Convolutions",
    "DEVIATIONS",
    "Q_FUNCTION_KINDS",
    "RELAXED_KINDS",
    "Relaxation",
    "TRANSITION_KINDS",
    "actor",
    "averaged",
    "critic",
    "fresh_weights",
    "q_function",
    "save",
    "seeded",
    "stacked_fresh_weights",
    "transition_model",
]
