"""The hyperparameters of learning a transition model."""

from __future__ import annotations

import dataclasses

from tf_equirl.layers.pooling.proximal_pooling import SELECTIONS
from tf_equirl.models import TRANSITION_KINDS
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.search_space import LogUniform, searched


@dataclasses.dataclass(frozen=True)
class TransitionModelConfig(RelaxationConfig):
    """The model of `fit_transition_model` and how it is trained.

    The defaults are those of the thesis that this project started from ("Exploiting Symmetries
    With Equivariant Transition Models", University College London, 2023), except for the kind.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        kind: Kind of transition model: mlp, cnn, gcnn-proximal, gcnn-averaged, gcnn-readout,
            relaxed or rpp, see `models.transition_model`.
        hidden_units: Widths of the hidden layers, at most 100 of them up to 16,384.
        match_parameters: Parameter budget of the model, at most 10^8; `hidden_units` are then the
            proportions of its widths. None keeps `hidden_units`.
        predict_change: Whether the network predicts the state's change instead of the next state;
            for environments whose states are real numbers. None does so where they are.
        selection: Of the kind "gcnn-proximal": "hard" or "soft".
        temperature: Of the selection "soft", in units of the distance between states.
        num_epochs: Passes over the data.
        batch_size: Transitions of a gradient step; all of the data if they are fewer. What remains
            of an epoch's shuffled data after its last whole batch is left out.
        learning_rate: Step size of Adam.
        anneal_learning_rate: Decrease the step size linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient; None does not bound it.
    """

    kind: str = "gcnn-readout"
    hidden_units: tuple[int, ...] = (64, 64, 64, 64)
    match_parameters: int | None = None
    predict_change: bool | None = False
    selection: str = "hard"
    temperature: float = 1.0
    num_epochs: int = 100
    batch_size: int = 256
    learning_rate: float = searched(1e-4, LogUniform(1e-4, 3e-2))
    anneal_learning_rate: bool = False
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_epsilon: float = 1e-8
    max_gradient_norm: float | None = None

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        self._check_choice("kind", TRANSITION_KINDS)
        self._check_hidden_units()
        self._check_choice("selection", SELECTIONS)
        if self.selection != "hard" and self.kind != "gcnn-proximal":
            self._reject("selection", '"hard" for every kind but "gcnn-proximal"')
        self._check_positive("temperature")
        for field in ("num_epochs", "batch_size"):
            self._check_integer(field)
        self._check_budget("match_parameters")
        if self.predict_change is not None:
            self._check_bool("predict_change")
        self._check_bool("anneal_learning_rate")
        self._check_adam()
        if self.max_gradient_norm is not None:
            self._check_positive("max_gradient_norm")
        self.check_relaxation()
