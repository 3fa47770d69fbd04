"""How far the learning of a transition model is."""

from __future__ import annotations

from typing import NamedTuple


class FitProgress(NamedTuple):
    """How far `fit_transition_model` is; passed on before and after compilation and every call.

    Attributes:
        epochs: Epochs that all seeds have finished, of `num_epochs`.
        num_epochs: Epochs in the run.
        done: Share of the run's gradient steps and validations that are made, from 0 to 1.
        loss: Mean over seeds of the last call's training loss; NaN before the first.
        validation: Mean over seeds by metric, after the last finished epoch.
        steps_per_second: Gradient steps of all seeds by second, lately; 0 before the first.
        compile_seconds: Time that compilation took; 0 before it.
    """

    epochs: int
    num_epochs: int
    done: float
    loss: float
    validation: dict[str, float]
    steps_per_second: float
    compile_seconds: float

    def __str__(self) -> str:
        """What a progress bar shows."""
        known = {"loss": self.loss}
        known.update({f"validation {name}": x for name, x in self.validation.items() if x == x})
        metrics = ", ".join(f"{name.replace('_', ' ')} {x:.3g}" for name, x in known.items())
        return f"epoch {self.epochs}/{self.num_epochs}, {metrics}"
