"""What a training run gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_equirl.training.evaluations import Evaluations
from tf_equirl.training.members import part_of
from tf_equirl.training.run_folder import RunFolder


class Harm(NamedTuple):
    """A seed whose numbers became infinite or NaN.

    Attributes:
        column: Of the seed in every array.
        what: Is infinite or NaN.
        where: In which step.
        update: Its number; of the epoch, where a transition model is trained.
        advice: What to do, a sentence.
    """

    column: int
    what: str
    where: str
    update: int
    advice: str


class Outcome(NamedTuple):
    """What the host loop knows of a run, of which a learner makes its result.

    Attributes:
        seeds: The seeds, in the order of every last axis below.
        done: Steps that are made by stage.
        history: What was reported by stage and name, `[steps, ..., seeds]`.
        weights: By role of the network, one `[seeds, ...]` array per variable.
        seconds: Time by stage, over all the processes that a resumed run took, compilation left
            out.
        compile_seconds: Time spent compiling, in this process.
        folder: The run folder, or None.
        harms: The seeds that became non-finite, one each, in the order in which they did.
        finished: Whether the run came to its end.
        evaluations: Greedy episodes that were played on the way; None where nothing is known of
            any.
    """

    seeds: tuple[int, ...]
    done: Mapping[str, int]
    history: Mapping[str, Mapping[str, np.ndarray]]
    weights: dict[str, list[np.ndarray]]
    seconds: Mapping[str, float]
    compile_seconds: float
    folder: RunFolder | None
    harms: tuple[Harm, ...] = ()
    finished: bool = True
    evaluations: Evaluations | None = None

    def parts(self, configs: int) -> list[Outcome]:
        """Those of several configs, each of the same seeds; the time is shared out among them."""
        count = len(self.seeds) // configs
        return [self._part(number, part_of(number, count), configs) for number in range(configs)]

    def _part(self, number: int, columns: slice, configs: int) -> Outcome:
        found = range(len(self.seeds))[columns]
        return self._replace(
            seeds=self.seeds[columns],
            history={
                stage: {name: rows[..., columns] for name, rows in reports.items()}
                for stage, reports in self.history.items()
            },
            weights={role: [w[columns] for w in of_role] for role, of_role in self.weights.items()},
            seconds={stage: seconds / configs for stage, seconds in self.seconds.items()},
            compile_seconds=self.compile_seconds / configs,
            folder=None if self.folder is None else self.folder.below(number),
            evaluations=None if self.evaluations is None else self.evaluations.of(columns),
            harms=tuple(
                harm._replace(column=found.index(harm.column))
                for harm in self.harms
                if harm.column in found
            ),
        )

    def reported(self, stage: str, name: str, *shape: int) -> np.ndarray:
        """What was reported, or an array `[0, *shape, seeds]` where nothing was done yet."""
        nothing = np.zeros([0, *shape, len(self.seeds)], np.float32)
        return self.history.get(stage, {}).get(name, nothing)

    def names(self, stage: str) -> list[str]:
        """Names of what a stage reports."""
        return list(self.history.get(stage, {}))

    def harmed(self, stage: str) -> np.ndarray:
        """`[steps, seeds]`, true from the step on in which a seed became non-finite."""
        return ~np.logical_and.accumulate(self.reported(stage, "finite").astype(bool), axis=0)

    def common(self) -> dict[str, Any]:
        """The fields of `Result` that are the same for every learner."""
        return {
            "seeds": self.seeds,
            "weights": self.weights,
            "compile_seconds": self.compile_seconds,
            "run_seconds": sum(self.seconds.values()),
            "run_dir": None if self.folder is None else self.folder.path,
            "finished": self.finished,
            "evaluations": self.evaluations or Evaluations.none(len(self.seeds)),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What every trainer gives back.

    Attributes:
        environment: The environment's name.
        config: The hyperparameters.
        seeds: The seeds, in the order of every `seeds` axis below.
        weights: Trained weights by role of the network ("actor", "critic", ...): one `[seeds, ...]`
            array per variable, the trainable variables first, each in the order that Keras has
            them. Of a seed that became non-finite those before it did, as far as that is known.
        compile_seconds: Time spent compiling, in this process.
        run_seconds: Time spent training, over all the processes that a resumed run took.
        run_dir: The run folder, or None.
        finished: Whether the run came to its end; curves of one that did not are shorter.
        evaluations: Greedy episodes that were played on the way.
        networks: The Keras models by role whose weights `weights` are; they are not trained
            themselves.
    """

    environment: str
    config: Any
    seeds: tuple[int, ...]
    weights: dict[str, list[np.ndarray]]
    compile_seconds: float
    run_seconds: float
    run_dir: Path | None
    finished: bool = True
    evaluations: Evaluations = dataclasses.field(default_factory=Evaluations)
    networks: dict[str, keras.Model] = dataclasses.field(repr=False)

    def model(self, role: str, seed: int) -> keras.Model:
        """The trained network of one seed, a Keras model of its own.

        Args:
            role: Such as "actor"; see `weights`.
            seed: One of the run's seeds.

        Raises:
            ValueError: If the run had no such network or seed.
        """
        if role not in self.networks:
            raise ValueError(
                f"role must be one of {', '.join(self.networks)}. Received: role={role!r}"
            )
        return self._member(role, self.weights[role], seed)

    def _member(self, role: str, weights: list[np.ndarray], seed: int) -> keras.Model:
        if seed not in self.seeds:
            raise ValueError(f"seed must be one of the run's seeds {self.seeds}. Received: {seed}")
        model = keras.models.clone_model(self.networks[role])
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        for variable, stacked in zip(variables, weights, strict=True):
            variable.assign(stacked[self.seeds.index(seed)])
        return model


def final_returns(returns: np.ndarray) -> np.ndarray:
    """Mean of every row of `[seeds, times]` over the last tenth of training: `[seeds]`."""
    tenth = max(1, returns.shape[1] // 10)
    return returns[:, -tenth:].mean(axis=1, dtype=float)


def mean_from_first_known(returns: np.ndarray) -> np.ndarray:
    """Mean of every row of `[seeds, times]` from its first number on; NaN where it has none."""
    if not returns.size:
        return np.full(len(returns), np.nan)
    means = returns.mean(axis=1, dtype=np.float64)
    for row in np.flatnonzero(np.isnan(returns[:, 0])):
        known = np.flatnonzero(~np.isnan(returns[row]))
        if len(known):
            means[row] = returns[row, known[0] :].mean(dtype=np.float64)
    return means


def best_row(returns: np.ndarray) -> int:
    """Row of `[seeds, times]` with the highest mean over the last tenth of training.

    Among equals the one with the largest area under the curve.

    Raises:
        ValueError: If nothing was trained.
    """
    if not returns.size:
        raise ValueError("the best seed is known of a run that was trained. Received: no returns")
    return int(
        np.lexsort((-mean_from_first_known(returns), -np.round(final_returns(returns), 6)))[0]
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult(Result):
    """The outcome of training agents: learning curves and weights of every seed.

    Attributes:
        num_environments: Environments that each seed steps side by side.
        returns: `[seeds, times]`, the return of the last finished episode, mean over those of the
            seed's environments that have finished one, after each step of all environments; NaN
            before the first. NaN also from the update on in which a seed became non-finite.
        first_returns: `[seeds, times]`, the same for the seed's first environment alone.
        metrics: Losses and diagnostics by name, `[seeds, updates]` each.
    """

    num_environments: int
    returns: np.ndarray
    first_returns: np.ndarray
    metrics: dict[str, np.ndarray]

    @property
    def timesteps(self) -> np.ndarray:
        """`[times]`, environment steps of a seed up to and with each column of `returns`."""
        return self.num_environments * (1 + np.arange(self.returns.shape[1]))

    @property
    def steps_per_second(self) -> float:
        """Environment steps of all seeds by second of training, compilation left out."""
        steps = self.returns.shape[1] * self.num_environments * len(self.seeds)
        return steps / self.run_seconds if self.run_seconds else 0.0

    @property
    def best_seed(self) -> int:
        """The seed with the highest mean return over the last tenth of training.

        Among equals the one with the largest area under its learning curve.
        """
        return self.seeds[best_row(self.returns)]

    def actor(self, seed: int) -> keras.Model:
        """The trained policy network of one seed, a Keras model of its own.

        Raises:
            ValueError: If the run had no such seed.
        """
        return self.model("actor", seed)

    def critic(self, seed: int) -> keras.Model:
        """The trained value network of one seed, a Keras model of its own.

        Raises:
            ValueError: If the run had no such seed or no critic.
        """
        return self.model("critic", seed)
