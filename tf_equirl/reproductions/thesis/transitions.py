"""The thesis' transition models: what is trained, and what the thesis found.

"Exploiting Symmetries With Equivariant Transition Models", University College London, 2023,
sections 4.7.5 and 4.7.6: models of CartPole and of Catch, fitted to three sets of transitions and
validated on one, half of which comes from an expert. All kinds have the MLP's number of parameters.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl._checks import positive_integer
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.datasets import make_dataset
from tf_equirl.dynamics.fit import build_model, fit_transition_model
from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.models.widths import trained_parameters

KIND_LABELS = {
    "mlp": "MLP",
    "gcnn-proximal": "G-CNN, proximal",
    "gcnn-averaged": "G-CNN, averaged",
    "gcnn-readout": "G-CNN, readout",
}
SIZES = (300, 1_000, 3_000, 10_000, 40_000)
SIZE_DATASETS = ("joint",)
# Of the many runs on smaller sets.
_SHORT: dict[str, Any] = {"num_epochs": 20, "learning_rate": 1e-3, "anneal_learning_rate": True}
_VALIDATION_SIZE = 10_000
_TRAINING_SEED, _VALIDATION_SEED = 0, 1


class Cell(NamedTuple):
    """One entry of a table: a model of some kind, fitted to a set of transitions."""

    dataset: str
    kind: str


ResultsByCell = Mapping[Cell, TransitionResult]


@dataclasses.dataclass(frozen=True)
class TransitionExperiment:
    """Every kind of transition model on several datasets of one environment.

    Attributes:
        name: Folder of its runs.
        title: Heading of its tables and figures.
        environment: Registered name.
        num_transitions: Of each dataset that is trained on.
        config: What all kinds share; its widths are the MLP's.
        datasets: Names of the datasets, see `make_dataset`, with what tables call them.
        thesis: What the thesis' code printed of the validation set: mean square or accuracy.
        kinds: The kinds of models; the first one is the baseline.
        num_validation: Transitions in the validation set, half of them of the expert.
    """

    name: str
    title: str
    environment: str
    num_transitions: int
    config: TransitionModelConfig
    datasets: Mapping[str, str]
    thesis: Mapping[Cell, float] = dataclasses.field(default_factory=dict)
    kinds: tuple[str, ...] = tuple(KIND_LABELS)
    num_validation: int = _VALIDATION_SIZE

    @property
    def env(self) -> envs.Environment:
        """The environment."""
        return envs.make(self.environment)

    @property
    def cells(self) -> list[Cell]:
        """What is trained."""
        return [Cell(dataset, kind) for dataset in self.datasets for kind in self.kinds]

    def training_set(self, dataset: str) -> Transitions:
        """The transitions that models are fitted to; the same ones at every call."""
        return _dataset(self.environment, dataset, self.num_transitions, _TRAINING_SEED)

    def validation_set(self) -> Transitions:
        """The transitions that all models are validated on: half random, half expert."""
        return _dataset(self.environment, "joint", self.num_validation, _VALIDATION_SEED)

    def config_of(self, kind: str) -> TransitionModelConfig:
        """Hyperparameters of one kind, its size matched to the MLP's."""
        budget = None
        if kind != "mlp":
            budget = trained_parameters(build_model(self.env, self._config("mlp", None)))
        return self._config(kind, budget)

    def model(self, kind: str, average_ties: bool = True) -> keras.Model:
        """An untrained model of one kind; see `models.transition_model`."""
        return build_model(self.env, self.config_of(kind), average_ties=average_ties)

    def train(
        self,
        folder: str | os.PathLike,
        num_seeds: int = 16,
        call: Call = call_trainer,
    ) -> dict[Cell, TransitionResult]:
        """Trains whatever is missing below `folder`, and goes on with what was interrupted.

        Args:
            folder: Runs are in `folder/<name of the experiment>/<dataset>/<kind>`.
            num_seeds: The seeds are 0 to `num_seeds - 1`, the same for every cell.
            call: Called with `fit_transition_model` and its arguments; it may show progress.

        Raises:
            ValueError: If an argument breaks its rule or a folder holds another run.
        """
        num_seeds = positive_integer("num_seeds", num_seeds)
        return {
            cell: self._fit(
                call,
                self.training_set(cell.dataset),
                cell.kind,
                num_seeds,
                Path(folder) / self.name / cell.dataset / cell.kind,
            )
            for cell in self.cells
        }

    def train_sizes(
        self,
        folder: str | os.PathLike,
        num_seeds: int = 16,
        sizes: Sequence[int] = SIZES,
        datasets: Sequence[str] = SIZE_DATASETS,
        call: Call = call_trainer,
    ) -> dict[int, dict[Cell, TransitionResult]]:
        """Trains every kind on fewer and fewer of the same transitions, as `train` does.

        A smaller set is the first rows of the whole one, which is shuffled, repeated until there
        are as many: all sizes take the same number of gradient steps, with the same learning rates,
        and are validated after as many. They take 20 epochs of the whole set, at a rate that falls
        from 1e-3 to 0.

        Args:
            folder: Runs are in `folder/<name>-sizes/<dataset>/<kind>/<size>`.
            num_seeds: As `train` takes it.
            sizes: Numbers of transitions, at most `num_transitions`.
            datasets: Names of the datasets that are thinned out.
            call: Called with `fit_transition_model` and its arguments; it may show progress.

        Returns:
            For each size, results by cell.

        Raises:
            ValueError: If an argument breaks its rule or a folder holds another run.
        """
        num_seeds = positive_integer("num_seeds", num_seeds)
        for size in sizes:
            if not 0 < size <= self.num_transitions:
                raise ValueError(
                    f"sizes must lie between 1 and {self.num_transitions}. Received: sizes={sizes}"
                )
        short = dataclasses.replace(self, config=dataclasses.replace(self.config, **_SHORT))
        results: dict[int, dict[Cell, TransitionResult]] = {size: {} for size in sizes}
        for size in sizes:
            for dataset in datasets:
                whole = self.training_set(dataset)
                data = whole.take(np.arange(len(whole)) % size)
                for kind in self.kinds:
                    run_dir = Path(folder) / f"{self.name}-sizes" / dataset / kind / str(size)
                    results[size][Cell(dataset, kind)] = short._fit(
                        call, data, kind, num_seeds, run_dir
                    )
        return results

    def _fit(self, call, data, kind, num_seeds, run_dir) -> TransitionResult:
        return call(
            fit_transition_model,
            self.env,
            data,
            self.config_of(kind),
            range(num_seeds),
            run_dir,
            validation=self.validation_set(),
            resume=(run_dir / "run.json").exists(),
        )

    def _config(self, kind: str, match_parameters: int | None) -> TransitionModelConfig:
        return dataclasses.replace(self.config, kind=kind, match_parameters=match_parameters)


def cartpole_transitions() -> TransitionExperiment:
    """CartPole, 40,000 transitions: the thesis' figures 4.6 and 4.7.

    The thesis gives the figures as root mean squares; its code computes mean squares.
    """
    return TransitionExperiment(
        name="transitions-cartpole",
        title="Transition models of CartPole",
        environment="CartPole",
        num_transitions=40_000,
        config=TransitionModelConfig(hidden_units=(64, 64, 64, 64), num_epochs=100, batch_size=256),
        datasets={"joint": "expert and random", "left": "only left", "random": "random"},
        thesis=_thesis(mlp=(0.0124, 0.450, 0.200), gcnn=(0.0090, 0.0090, 0.0373)),
    )


def catch_transitions() -> TransitionExperiment:
    """Catch, 400,000 transitions: the thesis' figure 4.9."""
    return TransitionExperiment(
        name="transitions-catch",
        title="Transition models of Catch",
        environment="Catch",
        num_transitions=400_000,
        config=TransitionModelConfig(hidden_units=(64, 64), num_epochs=10, batch_size=256),
        datasets={"joint": "expert and random", "left": "only left and stay", "random": "random"},
        thesis=_thesis(mlp=(0.9998, 0.579, 0.693), gcnn=(0.9997, 0.940, 0.710)),
    )


def _thesis(mlp: Sequence[float], gcnn: Sequence[float]) -> dict[Cell, float]:
    """The thesis' numbers for joint, left and random; its G-CNN pools by proximity."""
    return {
        Cell(dataset, kind): value
        for kind, values in (("mlp", mlp), ("gcnn-proximal", gcnn))
        for dataset, value in zip(("joint", "left", "random"), values, strict=True)
    }


@functools.lru_cache(maxsize=8)
def _dataset(environment: str, kind: str, num_transitions: int, seed: int) -> Transitions:
    return make_dataset(envs.make(environment), kind, num_transitions, seed)
