"""Which trials are tried next."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl.experiments.tuning.trials import Trial
from tf_equirl.training.search_space import Choice, LogUniform, Space, Uniform, draw


class Round(NamedTuple):
    """Trials that are made before it is decided which are next.

    Attributes:
        rung: See `Trial.rung`.
        share: Of the whole length of a run that each gets.
        trials: Their values by number.
    """

    rung: int
    share: float
    trials: dict[int, dict[str, Any]]


class Sampler(abc.ABC):
    """Chooses trials, from the numbers of those that are finished and a random seed alone.

    Args:
        spaces: What is searched.
        trials: How many.
        seed: Of random numbers.
    """

    def __init__(self, spaces: Mapping[str, Space], trials: int, seed: int):
        self.spaces = dict(spaces)
        self.trials = trials
        self.seed = seed

    @abc.abstractmethod
    def round(self, number: int, finished: Sequence[Trial]) -> Round | None:
        """The round with a number, from 0; None where there are no more.

        Args:
            number: Of the round.
            finished: All trials of the rounds before, and maybe some of this one.
        """

    def drawn(self) -> dict[int, dict[str, Any]]:
        """All trials, drawn from the spaces independently of one another."""
        random = np.random.default_rng([self.seed, 14])
        return {number: draw(self.spaces, random) for number in range(self.trials)}


class RandomSearch(Sampler):
    """Every trial is drawn from the spaces (Bergstra and Bengio, 2012)."""

    def round(self, number: int, finished: Sequence[Trial]) -> Round | None:
        """See `Sampler.round`."""
        return Round(0, 1.0, self.drawn()) if number == 0 else None


class SuccessiveHalving(Sampler):
    """Random trials, of which the best go on to longer runs (Jamieson and Talwalkar, 2016).

    Every rung trains its trials anew, for a run of its length: where the learning rate is annealed
    it falls to 0 within it.

    Args:
        spaces: See `Sampler`.
        trials: Of the first rung.
        seed: See `Sampler`.
        reduction: One of so many trials goes on, to a run that is so many times longer.
        rungs: How many lengths there are at most.
    """

    def __init__(
        self, spaces: Mapping[str, Space], trials: int, seed: int, reduction: int, rungs: int
    ):
        super().__init__(spaces, trials, seed)
        self.sizes = rung_sizes(trials, reduction, rungs)
        self.reduction = reduction

    def round(self, number: int, finished: Sequence[Trial]) -> Round | None:
        """See `Sampler.round`."""
        if number == len(self.sizes):
            return None
        drawn = self.drawn()
        chosen = list(drawn)
        if number:
            before = [t for t in finished if t.rung == number - 1]
            before.sort(key=lambda t: (-t.score, t.number))
            chosen = sorted(t.number for t in before[: self.sizes[number]])
        share = float(self.reduction) ** (number + 1 - len(self.sizes))
        return Round(number, share, {k: drawn[k] for k in chosen})


class OptunaSearch(Sampler):
    """Trials that Optuna's tree-structured Parzen estimator proposes (Bergstra et al., 2011).

    It is asked for some trials at once, which are trained side by side, and told what came out.
    Trials that are not finished count as bad ones meanwhile ("constant liar").

    Args:
        spaces: See `Sampler`.
        trials: See `Sampler`.
        seed: See `Sampler`.
        folder: Of the search; Optuna's storage is `optuna.log` in it.
        at_once: Trials of a round.

    Raises:
        ImportError: If Optuna is missing.
    """

    def __init__(
        self, spaces: Mapping[str, Space], trials: int, seed: int, folder: Path, at_once: int
    ):
        super().__init__(spaces, trials, seed)
        try:
            import optuna
        except ImportError as error:
            raise ImportError(
                "the method `optuna` needs Optuna: pip install tf_equirl[tune]"
            ) from error
        self._optuna: Any = optuna
        self.at_once = at_once
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storages: Any = optuna.storages
        backend = storages.journal.JournalFileBackend(str(folder / "optuna.log"))
        self._study = optuna.create_study(
            storage=storages.JournalStorage(backend),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )

    def round(self, number: int, finished: Sequence[Trial]) -> Round | None:
        """See `Sampler.round`."""
        first = number * self.at_once
        last = min(first + self.at_once, self.trials)
        if first >= self.trials:
            return None
        study = self._study
        state = self._optuna.trial.TrialState
        for trial in finished:
            if trial.failed:
                study.tell(trial.number, state=state.FAIL, skip_if_finished=True)
            else:
                study.tell(trial.number, trial.score, skip_if_finished=True)
        # A sampler of its own for each trial: one that goes on after an interruption proposes what
        # one that was not interrupted does.
        while (asked := len(study.trials)) < last:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                study.sampler = self._optuna.samplers.TPESampler(
                    seed=self.seed * 100_003 + asked, constant_liar=True, multivariate=True
                )
            study.ask({name: self._distribution(space) for name, space in self.spaces.items()})
        found = study.trials[first:last]
        return Round(0, 1.0, {t.number: self._values(t.params) for t in found})

    def _distribution(self, space: Space) -> Any:
        kinds = self._optuna.distributions
        if isinstance(space, Choice):
            return kinds.CategoricalDistribution(list(range(len(space.values))))
        if isinstance(space, Uniform):
            log = isinstance(space, LogUniform)
            return kinds.FloatDistribution(space.low, space.high, log=log)
        raise ValueError(f"space must be one that Optuna has. Received: {space}")

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: space.values[params[name]] if isinstance(space, Choice) else params[name]
            for name, space in self.spaces.items()
        }


def rung_sizes(trials: int, reduction: int, rungs: int) -> list[int]:
    """Trials of each rung of successive halving; there is a rung where something is left to halve.

    Args:
        trials: Of the first rung.
        reduction: One of so many goes on.
        rungs: How many there are at most.
    """
    sizes = [trials]
    while len(sizes) < rungs and sizes[-1] >= 2 * reduction:
        sizes.append(sizes[-1] // reduction)
    return sizes
