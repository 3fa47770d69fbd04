"""Who runs in the race, on which track, and with what preparation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.tuning import Search, Tuned, with_values
from tf_equirl.reproductions.thesis.planning import planning_config
from tf_equirl.training.config import AgentConfig, OnPolicyConfig
from tf_equirl.training.search_space import Space, declared_spaces

SEARCHED = (
    "learning_rate",
    "anneal_learning_rate",
    "entropy_coefficient",
    "gae_lambda",
    "clip_ratio",
)
"""Hyperparameters that are searched for every agent, in the spaces that their configs declare."""
SEARCH_SEEDS = tuple(range(1000, 1032))
"""Seeds of the search; what is reported is trained on others."""
_TRIALS = 24
Settings = Mapping[str, Mapping[str, Any]]
"""Hyperparameters by name of the agent, as an earlier search found them."""

_PLANNING = {
    "CartPole": {"planning_ratio": 8.0, "dyna_iterations": 40, "max_model_steps": 400},
    "Catch": {"planning_ratio": 8.0, "dyna_iterations": 50, "max_model_steps": 200},
}
# By name the kind of actor, and what differs from an agent with such an actor.
_MLP_CRITIC: dict[str, Any] = {"critic": "mlp", "match_critic_parameters": None}
_AGENTS = {
    "mlp": ("mlp", {}),
    "gcnn": ("gcnn", _MLP_CRITIC),
    "symmetrizer": ("symmetrizer", _MLP_CRITIC),
    "both": ("gcnn", {}),
}


@dataclasses.dataclass(frozen=True)
class Race:
    """Agents that are tuned alike, each with the same number of trials, and then compared.

    Attributes:
        experiment: The agents before they are tuned; what is reported of them.
        trials: Of every agent's search, by successive halving with two lengths of runs.
        search_seeds: Seeds of every trial.
        savings: Pairs of column names whose real steps to each level are compared: the second takes
            so many times more than the first.
    """

    experiment: Experiment
    trials: int = _TRIALS
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    savings: tuple[tuple[str, str, str], ...] = ()

    def search(self, column: Column) -> Search:
        """How an agent is tuned."""
        return Search(
            self.experiment.environment,
            column.config,
            _space(column.config),
            trials=self.trials,
            seeds=self.search_seeds,
            method="halving",
            reduction=4,
            rungs=2,
        )

    def tune(self, column: Column, folder: Path, call: Call = call_trainer) -> Tuned:
        """Tunes an agent, or goes on with it, or reads what came out of it."""
        place = folder / self.experiment.name / f"{column.name}-search"
        resume = (place / "search.json").exists()
        return self.search(column).run(place, resume=resume, call=call)

    def check(self, settings: Settings) -> None:
        """Checks hyperparameters that need not be searched.

        Raises:
            ValueError: If an agent does not run here, or its hyperparameters are not those that are
                searched, or a value breaks its rule.
        """
        columns = {column.name: column for column in self.experiment.columns}
        for name, values in settings.items():
            if name not in columns:
                raise ValueError(
                    f"settings must be of agents of the race, {', '.join(columns)}. "
                    f"Received: {name}"
                )
            wanted = sorted(_space(columns[name].config))
            if not isinstance(values, Mapping) or sorted(values) != wanted:
                raise ValueError(
                    f"settings of {name} must name {', '.join(wanted)}. Received: {values}"
                )
            with_values(columns[name].config, values)

    def tuned(self, found: Mapping[str, Tuned], settings: Settings) -> Experiment:
        """The experiment with every agent at its best: as given in `settings`, or as found."""
        columns = tuple(
            dataclasses.replace(
                column,
                config=with_values(column.config, settings[column.name])
                if column.name in settings
                else found[column.name].best_config,
            )
            for column in self.experiment.columns
        )
        return dataclasses.replace(self.experiment, columns=columns)


def race(environment: str) -> Race:
    """The race on an environment.

    Args:
        environment: "CartPole" or "Catch".
    """
    total, timesteps, levels = {
        "CartPole": (40_960, (2_500, 5_000, 10_000, 20_000, 40_000), (195.0, 400.0, 475.0)),
        "Catch": (10_000, (500, 1_000, 2_000, 5_000, 10_000), (0.0, 0.5, 0.9)),
    }[environment]

    def dyna(name: str, kind: str, **fields: Any) -> DynaConfig:
        actor, own = _AGENTS[name]
        fields = {**_PLANNING[environment], **own, **fields}
        return planning_config(environment, kind, actor, total, **fields)

    def agent(name: str, **fields: Any) -> OnPolicyConfig:
        return dyna(name, "environment", **fields).agent

    epochs = 4 * (1 + int(_PLANNING[environment]["planning_ratio"]))
    columns = (
        Column("mlp", "MLP PPO", agent("mlp")),
        Column("gcnn", "PPO, equivariant actor", agent("gcnn")),
        Column("symmetrizer", "PPO, Symmetrizer actor", agent("symmetrizer")),
        Column("both", "PPO, equivariant actor, invariant critic", agent("both")),
        Column("mlp-epochs", f"MLP PPO, {epochs} epochs", agent("mlp", num_epochs=epochs)),
        Column("both-epochs", f"symmetric PPO, {epochs} epochs", agent("both", num_epochs=epochs)),
        Column("dyna-mlp", "Dyna, MLPs", dyna("mlp", "mlp")),
        Column("dyna-model", "Dyna, MLP agent, equivariant model", dyna("mlp", "gcnn-readout")),
        Column("dyna-both", "Dyna, equivariant agent and model", dyna("both", "gcnn-readout")),
        Column("dyna-perfect", "Dyna, MLP agent, perfect model", dyna("mlp", "environment")),
    )
    return Race(
        Experiment(
            name=f"{environment.lower()}-race",
            title=f"{environment}, the race",
            environment=environment,
            timesteps=timesteps,
            levels=levels,
            columns=columns,
            comparisons=(
                ("both", "gcnn"),
                ("gcnn", "symmetrizer"),
                ("both-epochs", "mlp-epochs"),
                ("dyna-model", "dyna-mlp"),
                ("dyna-both", "dyna-model"),
                ("dyna-both", "both"),
                ("dyna-perfect", "dyna-model"),
            ),
            num_seeds=128,
        ),
        savings=(
            ("symmetry in the actor", "gcnn", "mlp"),
            ("symmetry in the actor, Symmetrizer", "symmetrizer", "mlp"),
            ("symmetry in actor and critic", "both", "mlp"),
            ("the same, many epochs", "both-epochs", "mlp-epochs"),
            ("symmetry in the model", "dyna-model", "dyna-mlp"),
            ("symmetry in the agent that plans", "dyna-both", "dyna-model"),
            ("symmetry in agent and model", "dyna-both", "dyna-mlp"),
            ("planning, without symmetry", "dyna-mlp", "mlp"),
            ("planning, with symmetry", "dyna-both", "both"),
            ("planning and symmetry", "dyna-both", "mlp"),
            ("planning instead of more epochs", "dyna-both", "both-epochs"),
        ),
    )


def _space(config: AgentConfig | DynaConfig) -> dict[str, Space]:
    declared = declared_spaces(config)
    names = [*SEARCHED, *(["model_learning_rate"] if "model_learning_rate" in declared else [])]
    return {name: declared[name] for name in names}
