"""A search for hyperparameters, in one resumable piece of work."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_equirl import envs
from tf_equirl._checks import instance, integer, one_of, positive_integer, refuse
from tf_equirl._files import locked, remove_partial, write_text_atomically
from tf_equirl.agents import DQNConfig, DrQv2Config, NonFiniteError, PPOConfig, SACConfig
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.learner import DynaLearner
from tf_equirl.dyna.schedule import Schedule
from tf_equirl.dyna.train import transition_model
from tf_equirl.envs.registry import environment_of, recipe, tensor_environment_of
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.metrics import agent_of, area_under_curve, return_at
from tf_equirl.experiments.tuning.samplers import (
    OptunaSearch,
    RandomSearch,
    Round,
    Sampler,
    SuccessiveHalving,
    rung_sizes,
)
from tf_equirl.experiments.tuning.trials import Trial, Tuned, best_trial
from tf_equirl.training.blocks import check_seeds
from tf_equirl.training.config import AgentConfig, Config
from tf_equirl.training.learner import Learner
from tf_equirl.training.members import structure
from tf_equirl.training.run import train
from tf_equirl.training.run_folder import describe_environment, environment_again
from tf_equirl.training.search_space import Space, as_tuple, draw, space_from_json

METHODS = ("random", "halving", "optuna")
"""Random search, successive halving, and Optuna's tree-structured Parzen estimator."""
OBJECTIVES = ("area", "final")
"""Mean of the learning curve over the run, or at its end; see `experiments.metrics`."""
_FILE, _TRIALS = "search.json", "trials.json"
_MOST_TRIALS = 100_000
_MEMBERS_AT_ONCE = 256  # that one run holds; more need memory and gain no speed


@dataclasses.dataclass(frozen=True)
class Search:
    """Which hyperparameters are searched, where and how.

    Trials that differ in what a compiled program takes as data (`Learner.per_member`) are members
    of one program; others have one for each kind of them.

    Attributes:
        env: The environment, or its name.
        config: What is not searched; a `PPOConfig`, a `DQNConfig`, another `AgentConfig`, or a
            `DynaConfig`.
        space: What is searched, by name; of a `DynaConfig` as its `flat` calls them.
        trials: How many, at most; of the first rung, for successive halving.
        seeds: Each trial is trained for all of them. Report results on others.
        method: One of `METHODS`.
        objective: One of `OBJECTIVES`, mean over seeds.
        max_environment_steps: Bound on the environment steps of all trials and seeds together, by
            which there are fewer trials; None does not bound them.
        max_gradient_steps: The same for gradient steps, those that are planned and those of models
            included.
        reduction: Successive halving goes on with one of so many trials, for so many times longer.
        rungs: Lengths of runs that successive halving has at most; it has fewer for few trials.
        at_once: Trials that Optuna is asked for before it is told any of their scores.
        random_seed: Of the choice of trials.
    """

    env: envs.BaseEnvironment | str
    config: AgentConfig | DynaConfig
    space: Mapping[str, Space]
    trials: int = 32
    seeds: Sequence[int] = tuple(range(1000, 1016))
    method: str = "random"
    objective: str = "area"
    max_environment_steps: int | None = None
    max_gradient_steps: int | None = None
    reduction: int = 4
    rungs: int = 3
    at_once: int = 8
    random_seed: int = 0

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        environment_of(self.env)
        if not isinstance(self.config, (AgentConfig, DynaConfig)):
            refuse(
                "config",
                "a PPOConfig, a DQNConfig, another AgentConfig, or a DynaConfig",
                self.config,
            )
        rule = "a dict of spaces by the names of hyperparameters"
        instance("space", self.space, Mapping, rule)
        if not self.space:
            raise ValueError("space must name at least one hyperparameter. Received: space={}")
        for name, space in self.space.items():
            if not isinstance(name, str) or not isinstance(space, Space):
                refuse("space", rule, self.space)
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        for field, most in (("trials", _MOST_TRIALS), ("rungs", 100), ("at_once", _MOST_TRIALS)):
            object.__setattr__(self, field, positive_integer(field, getattr(self, field), most))
        object.__setattr__(self, "reduction", integer("reduction", self.reduction, 2, 1000))
        object.__setattr__(self, "random_seed", integer("random_seed", self.random_seed, 0))
        one_of("method", self.method, METHODS)
        one_of("objective", self.objective, OBJECTIVES)
        for field in ("max_environment_steps", "max_gradient_steps"):
            if (budget := getattr(self, field)) is not None:
                object.__setattr__(self, field, positive_integer(field, budget, 2**63))
        for values in self._examples():
            with_values(self.config, values)
        self.affordable_trials()

    def affordable_trials(self) -> int:
        """How many trials there are: `trials`, or as many as the budgets allow.

        Raises:
            ValueError: If a budget does not allow one.
        """
        found = self.trials
        for field, cost in (
            ("max_environment_steps", environment_steps),
            ("max_gradient_steps", gradient_steps),
        ):
            budget = getattr(self, field)
            if budget is None:
                continue
            of_trial = max(cost(with_values(self.config, values)) for values in self._examples())
            of_trial *= len(self.seeds)
            while found and self._runs(found) * of_trial > budget:
                found -= 1
            if not found:
                raise ValueError(
                    f"{field} must be at least that of one trial, {of_trial:,} over "
                    f"{len(self.seeds)} seeds. Received: {field}={budget:,}"
                )
        return found

    def _runs(self, trials: int) -> float:
        """Whole runs, of all lengths together, that so many trials take."""
        if self.method != "halving":
            return trials
        sizes = rung_sizes(trials, self.reduction, self.rungs)
        return sum(n * self.reduction ** (1 + i - len(sizes)) for i, n in enumerate(sizes))

    def _examples(self) -> list[dict[str, Any]]:
        """Many values of the space, by which it is checked and its cost is known beforehand."""
        random = np.random.default_rng(0)
        ends = [{n: s.at(share) for n, s in self.space.items()} for share in (0.0, 1 - 1e-9)]
        return ends + [draw(self.space, random) for _ in range(200)]

    def to_json(self) -> dict[str, Any]:
        """The search as plain JSON types."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "env"},
            **describe_environment(environment_of(self.env)),
            "environment_recipe": recipe(environment_of(self.env)),
            "config": self.config.to_json(),
            "class": type(self.config).__name__,
            "space": {name: space.to_json() for name, space in self.space.items()},
            "seeds": list(self.seeds),
        }

    @classmethod
    def load(cls, folder: str | os.PathLike, env: envs.BaseEnvironment | None = None) -> Search:
        """The search that was begun in a folder.

        Args:
            folder: Of the search.
            env: The environment, where the folder does not say how to make it.

        Raises:
            ValueError: If there is none, its file is damaged, or its config is none of a
                `PPOConfig`, a `DQNConfig`, a `SACConfig`, a `DrQv2Config` and a `DynaConfig`.
        """
        file = Path(folder) / _FILE
        if not file.exists():
            raise ValueError(f"folder must hold a search (a {_FILE}). Received: folder={folder}")
        found = _load(file)
        try:
            known = PPOConfig, DQNConfig, SACConfig, DrQv2Config, DynaConfig
            kinds: dict[str, Any] = {kind.__name__: kind for kind in known}
            names = {f.name for f in dataclasses.fields(cls)} - {"env"}
            fields = {name: found[name] for name in names}
            fields["config"] = kinds[found["class"]].from_json(found["config"])
            fields["space"] = {k: space_from_json(v) for k, v in found["space"].items()}
            name, how = found["environment"], found.get("environment_recipe")
            plain = name in envs.names() and not (how or {}).get("arguments")
            return cls(env or (name if plain else environment_again(found)), **fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{_FILE} must describe a search. Received: {file} ({error})"
            ) from error

    def run(
        self,
        folder: str | os.PathLike,
        *,
        resume: bool = False,
        call: Call = call_trainer,
        on_trials: Callable[[Sequence[Trial]], None] | None = None,
    ) -> Tuned:
        """Makes all trials that are missing.

        Args:
            folder: Of the search: `search.json`, `trials.json` with all that is finished, and the
                results of runs below `runs`, whose checkpoints are removed when they are finished.
            resume: Go on with the search in `folder`; the outcome is that of one that was not
                interrupted.
            call: Called with a trainer and its arguments; it may show progress.
            on_trials: Called with all trials so far when some are finished.

        Raises:
            ValueError: If the folder holds another search, or one to be resumed, or none to resume;
                or no trial has finite numbers.
        """
        folder = Path(folder)
        self._claim(folder, resume)
        with locked(folder, "folder"):
            remove_partial(folder)
            write_text_atomically(folder / _FILE, json.dumps(self.to_json(), indent=2))
            finished = _read(folder / _TRIALS)
            sampler = self._sampler(folder)
            for number in itertools.count():
                each = sampler.round(number, finished)
                if each is None:
                    break
                for trials in self._missing(each, finished):
                    finished += self._train(folder, each, trials, call)
                    finished.sort(key=lambda t: (t.number, t.rung))
                    _write(folder / _TRIALS, finished)
                    # Gigabytes, of many trials; nothing is lost now.
                    (_run_dir(folder, each, trials) / "checkpoint.npz").unlink(missing_ok=True)
                    if on_trials is not None:
                        on_trials(finished)
        best = best_trial(finished)
        return Tuned(tuple(finished), with_values(self.config, best.values))

    def _claim(self, folder: Path, resume: bool) -> None:
        file = folder / _FILE
        if not file.exists():
            if resume:
                raise ValueError(
                    f"folder must hold a search to resume (a {_FILE}). Received: folder={folder}"
                )
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ValueError(
                    f"folder must be new or empty, or hold this search. Received: folder={folder}"
                )
            folder.mkdir(parents=True, exist_ok=True)
            return
        found = _load(file)
        with contextlib.suppress(TypeError, ValueError):  # a config of another kind
            config = type(self.config).from_json(found["config"])
            found["config"] = config.to_json()  # with fields that it was written without
        wanted = json.loads(json.dumps(self.to_json()))
        fields = {**wanted, **found}.keys() - {"environment_recipe"}  # which older ones have not
        different = sorted(k for k in fields if wanted.get(k) != found.get(k))
        if different:
            raise ValueError(
                f"folder must be new, or hold this same search. Received: folder={folder}, which "
                f"holds another one; it differs in {', '.join(different)}"
            )
        if not resume:
            raise ValueError(
                f"folder must be new unless the search is resumed (resume=True). Received: "
                f"folder={folder}, which holds this search already"
            )

    def _sampler(self, folder: Path) -> Sampler:
        arguments = self.space, self.affordable_trials(), self.random_seed
        if self.method == "halving":
            return SuccessiveHalving(*arguments, self.reduction, self.rungs)
        if self.method == "optuna":
            return OptunaSearch(*arguments, folder, self.at_once)
        return RandomSearch(*arguments)

    def _missing(self, each: Round, finished: Sequence[Trial]) -> Iterator[dict[int, Config]]:
        """The trials of a round that are not finished, as many as one run can hold at once."""
        known = {t.number for t in finished if t.rung == each.rung}
        length = shortened(self.config, each.share)
        env = environment_of(self.env)
        per_member = _learner(env, self.config).per_member
        kinds: dict[str, dict[int, Config]] = {}
        for number, values in each.trials.items():
            config = with_values(length, values)
            kind = json.dumps(structure(config, per_member), sort_keys=True)
            kinds.setdefault(kind, {})[number] = config
        size = max(1, _MEMBERS_AT_ONCE // len(self.seeds))
        for alike in kinds.values():
            numbers = list(alike)
            for first in range(0, len(numbers), size):
                part = numbers[first : first + size]
                if not known.issuperset(part):
                    yield {number: alike[number] for number in part}

    def _train(
        self, folder: Path, each: Round, trials: Mapping[int, Config], call: Call
    ) -> list[Trial]:
        configs = list(trials.values())
        numbers = list(trials)
        run_dir = _run_dir(folder, each, trials)
        resume = (run_dir / "run.json").exists()
        try:
            results = call(
                train_side_by_side,
                environment_of(self.env),
                configs,
                self.seeds,
                run_dir,
                resume=resume,
            )
        except NonFiniteError as error:
            results = error.result
        found = []
        for number, config, result in zip(numbers, configs, results, strict=True):
            if self.objective == "area":
                scores = area_under_curve(result)
            else:
                scores = return_at(result, int(result.timesteps[-1]))
            found.append(
                Trial(
                    number,
                    each.rung,
                    each.trials[number],
                    _timesteps(config),
                    tuple(float(x) if np.isfinite(x) else None for x in scores),
                    environment_steps(config) * len(self.seeds),
                    gradient_steps(config) * len(self.seeds),
                    result.run_seconds + result.compile_seconds,
                )
            )
        return found


def tune(
    env: envs.BaseEnvironment | str,
    config: AgentConfig | DynaConfig,
    space: Mapping[str, Space],
    folder: str | os.PathLike,
    *,
    resume: bool = False,
    call: Call = call_trainer,
    **options: Any,
) -> Tuned:
    """Searches hyperparameters: `Search(env, config, space, **options).run(folder, ...)`.

    Args:
        env: The environment, or its name.
        config: What is not searched.
        space: What is searched, by name.
        folder: See `Search.run`.
        resume: See `Search.run`.
        call: See `Search.run`.
        **options: Further fields of `Search`, such as `trials`, `seeds` and `method`.

    Raises:
        ValueError: As `Search` and `Search.run` do.
    """
    return Search(env, config, space, **options).run(folder, resume=resume, call=call)


def with_values(config: Any, values: Mapping[str, Any]) -> Any:
    """A config with other hyperparameters, named as in `DynaConfig.flat`.

    Raises:
        ValueError: If it has no such hyperparameter, or a value breaks its rule.
    """
    own = {field.name for field in dataclasses.fields(config)}
    parts: dict[str, dict[str, Any]] = {}
    changed = {}
    for name, value in values.items():
        if name in own:
            changed[name] = value
            continue
        for part in ("agent", "model"):
            inner = getattr(config, part, None)
            field = name.removeprefix("model_") if part == "model" else name
            if dataclasses.is_dataclass(inner) and hasattr(inner, field):
                parts.setdefault(part, {})[field] = value
                break
        else:
            raise ValueError(
                f"a hyperparameter must be one of {type(config).__name__}. Received: {name}"
            )
    for part, fields in parts.items():
        changed[part] = dataclasses.replace(getattr(config, part), **fields)
    return dataclasses.replace(config, **changed)


def shortened(config: Any, share: float) -> Any:
    """A config of a run of a share of the length, which plans as often on its way."""
    if share == 1.0:
        return config
    if not isinstance(config, DynaConfig):
        steps = max(config.update_timesteps, round(config.total_timesteps * share))
        return dataclasses.replace(config, total_timesteps=steps)
    iterations = max(1, round(config.dyna_iterations * share))
    return dataclasses.replace(
        config, agent=shortened(config.agent, share), dyna_iterations=iterations
    )


def environment_steps(config: Any) -> int:
    """Environment steps of a seed in a whole run."""
    agent = agent_of(config)
    return agent.num_updates * agent.update_timesteps


def gradient_steps(config: Any) -> int:
    """Gradient steps of a seed in a whole run, of agent and models, planned ones included."""
    if isinstance(config, DynaConfig):
        return Schedule(config, config.model is not None).gradient_steps
    return config.num_gradient_steps


def _learner(env: envs.BaseEnvironment, config: Any) -> Learner:
    if not isinstance(config, DynaConfig):
        return config.learner(env)
    env = tensor_environment_of(env)
    return DynaLearner(config.agent.learner(env), config, *transition_model(env, config))


def train_side_by_side(
    env: envs.BaseEnvironment,
    configs: Sequence[Any],
    seeds: Sequence[int],
    run_dir: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[Any], None] | None = None,
) -> Any:
    """One result for each config, whatever kind of agent they describe; see `training.train`."""
    learner = _learner(env, configs[0])
    return train(learner, seeds, run_dir, configs=configs, resume=resume, on_progress=on_progress)


def _run_dir(folder: Path, each: Round, trials: Mapping[int, Config]) -> Path:
    return folder / "runs" / f"rung-{each.rung}-trial-{min(trials)}"


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, and of UTF-8
        raise ValueError(f"{file.name} must be JSON. Received: {file} ({error})") from error


def _read(file: Path) -> list[Trial]:
    if not file.exists():
        return []
    try:
        return [
            Trial(
                **{
                    **fields,
                    "scores": tuple(fields["scores"]),
                    "values": {k: as_tuple(v) for k, v in fields["values"].items()},
                }
            )
            for fields in _load(file)
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file.name} must hold trials. Received: {file} ({error})") from error


def _write(file: Path, trials: Sequence[Trial]) -> None:
    text = json.dumps([dataclasses.asdict(trial) for trial in trials], indent=1)
    write_text_atomically(file, text)


def _timesteps(config: Any) -> int:
    return agent_of(config).total_timesteps
