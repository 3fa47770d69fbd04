"""The thesis' experiments with planning, and ours: what is trained, and what the thesis found.

"Exploiting Symmetries With Equivariant Transition Models", University College London, 2023,
sections 4.7.5.3, 4.7.6.2 and 4.8. PPO's hyperparameters are those of the model-free experiments
with a constant learning rate, which is what the thesis plans with.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.training.config import OnPolicyConfig

RATIOS = (1.0, 2.0, 4.0, 8.0)
SWEPT_RATIOS = (0.5, 1.0, 2.0, 4.0, 8.0)
SWEPT_ITERATIONS = (5, 10, 50, 100)

# Parameters of an MLP transition model with two hidden layers of 64, and of one of 64 for Catch.
_MODEL = {
    "CartPole": {"model_hidden_units": (64, 64), "model_match_parameters": 4868},
    "Catch": {"model_hidden_units": (64,), "model_match_parameters": 7031},
}
# Parameters of actor and critic with two hidden layers of 64.
_AGENT = {"CartPole": (4610, 4545), "Catch": (7619, 7489)}
_ROLLOUT = {"CartPole": {}, "Catch": {"rollout_steps": 10}}


def supervised_cartpole() -> Experiment:
    """CartPole with a frozen model of the zoo: the thesis' table 4.5 and figure 4.8."""
    return _supervised(
        "CartPole",
        total_timesteps=500_000,
        timesteps=(10_000, 100_000, 500_000),
        levels=(195, 400, 475),
        ratios=(1.0, 8.0, 8.0),
        thesis=(
            ((102, 5), (260, 10), (497, 1)),
            ((110, 10), (245, 20), (500, 1)),
            ((120, 10), (498, 2), (498, 13)),
        ),
        num_seeds=16,
    )


def supervised_catch() -> Experiment:
    """Catch with a frozen model of the zoo: the thesis' table 4.6 and figure 4.10."""
    return _supervised(
        "Catch",
        total_timesteps=20_000,
        timesteps=(2_000, 10_000, 20_000),
        levels=(0.0, 0.5, 0.9),
        ratios=(4.0, 8.0, 8.0),
        thesis=(
            ((-0.51, 0.07), (0.70, 0.06), (0.875, 0.04)),
            ((-0.41, 0.09), (0.64, 0.06), (0.88, 0.06)),
            ((-0.29, 0.09), (0.67, 0.05), (0.90, 0.05)),
        ),
        num_seeds=32,
    )


def _supervised(
    environment, total_timesteps, timesteps, levels, ratios, thesis, num_seeds
) -> Experiment:
    mlp, gcnn, perfect = ratios
    base = planning_config(environment, "mlp", total_timesteps=total_timesteps, dyna_iterations=50)
    name = environment.lower()
    columns = [
        Column("mlp", "MLP PPO", _model_free(base, total_timesteps), thesis[0]),
        _frozen(name, base, "mlp", mlp, thesis[1]),
        *([_frozen(name, base, "mlp", gcnn)] if gcnn != mlp else []),
        _frozen(name, base, "gcnn", gcnn, thesis[2]),
        _perfect(base, perfect),
    ]
    return Experiment(
        name=f"{name}-supervised-dyna",
        title=f"{environment}, Supervised-Dyna",
        environment=environment,
        timesteps=timesteps,
        levels=levels,
        columns=tuple(columns),
        comparisons=((f"gcnn-{gcnn:g}", f"mlp-{gcnn:g}"),),
        num_seeds=num_seeds,
    )


def supervised_ratios(environment: str) -> Experiment:
    """Supervised-Dyna at several planning ratios: the thesis' figures 5.2 and 5.7.

    Args:
        environment: "CartPole" or "Catch".
    """
    total, iterations = {"CartPole": (100_000, 10), "Catch": (20_000, 50)}[environment]
    base = planning_config(environment, "mlp", total_timesteps=total, dyna_iterations=iterations)
    columns = [Column("mlp", "MLP PPO", _model_free(base, total))]
    name = environment.lower()
    columns += [_frozen(name, base, kind, r) for kind in ("mlp", "gcnn") for r in RATIOS]
    points = [total // 5 * i for i in range(1, 6)]
    return Experiment(
        name=f"{name}-supervised-ratios",
        title=f"{environment}, Supervised-Dyna by planning ratio",
        environment=environment,
        timesteps=tuple(points),
        levels=(),
        columns=tuple(columns),
        num_seeds=16,
    )


def online_cartpole() -> Experiment:
    """CartPole with models that are learned while acting: who needs how many real steps."""
    return _online(
        "CartPole",
        total_timesteps=40_960,
        model_free_timesteps=250_000,
        timesteps=(2_000, 5_000, 10_000, 20_000, 40_000),
        levels=(195, 400, 475),
        planning_ratio=8.0,
        dyna_iterations=40,
        max_model_steps=400,
    )


def online_catch() -> Experiment:
    """Catch with models that are learned while acting: who needs how many real steps."""
    return _online(
        "Catch",
        total_timesteps=6_000,
        model_free_timesteps=20_000,
        timesteps=(500, 1_000, 2_000, 4_000, 6_000),
        levels=(0.0, 0.5, 0.9),
        planning_ratio=8.0,
        dyna_iterations=30,
        max_model_steps=200,
    )


def _online(
    environment, total_timesteps, model_free_timesteps, timesteps, levels, **fields
) -> Experiment:
    def dyna(name, label, kind, actor="mlp", **changes):
        config = planning_config(environment, kind, actor, total_timesteps, **{**fields, **changes})
        return Column(name, label, config)

    invariant = planning_config(environment, "mlp", "gcnn", total_timesteps)
    mlp = planning_config(environment, "mlp", "mlp", total_timesteps)
    columns = (
        Column("mlp", "MLP PPO", _model_free(mlp, model_free_timesteps)),
        Column("gcnn", "equivariant PPO", _model_free(invariant, model_free_timesteps)),
        dyna("dyna-mlp", "Dyna, MLP model", "mlp"),
        dyna("dyna-gcnn", "Dyna, equivariant model", "gcnn-readout"),
        dyna("dyna-both", "Dyna, equivariant actor and model", "gcnn-readout", "gcnn"),
        dyna("dyna-perfect", "Dyna, perfect model", "environment"),
    )
    return Experiment(
        name=f"{environment.lower()}-online-dyna",
        title=f"{environment}, Dyna with models learned online",
        environment=environment,
        timesteps=timesteps,
        levels=levels,
        columns=columns,
        comparisons=(
            ("dyna-gcnn", "dyna-mlp"),
            ("dyna-both", "gcnn"),
            ("dyna-both", "dyna-gcnn"),
            ("dyna-perfect", "dyna-gcnn"),
        ),
        num_seeds=128,
    )


def dyna_sweep(environment: str) -> Experiment:
    """Online Dyna by planning ratio and number of iterations: the thesis' figures 4.11 and 4.12.

    Args:
        environment: "CartPole" or "Catch".
    """
    total, steps = {"CartPole": (51_200, 200), "Catch": (6_000, 100)}[environment]
    mlp = planning_config(environment, "mlp", "mlp", total)
    columns = [Column("mlp", "MLP PPO", _model_free(mlp, total))]
    for name, kind in (("mlp", "mlp"), ("gcnn", "gcnn-readout")):
        for ratio in SWEPT_RATIOS:
            for iterations in SWEPT_ITERATIONS:
                config = planning_config(
                    environment,
                    kind,
                    total_timesteps=total,
                    planning_ratio=ratio,
                    dyna_iterations=iterations,
                    max_model_steps=steps,
                )
                label = f"{name}, ratio {ratio:g}, {iterations} iterations"
                columns.append(Column(sweep_name(name, ratio, iterations), label, config))
    return Experiment(
        name=f"{environment.lower()}-dyna-sweep",
        title=f"{environment}, Dyna by planning ratio and iterations",
        environment=environment,
        timesteps=(total,),
        levels=(),
        columns=tuple(columns),
        num_seeds=16,
    )


def sweep_name(model: str, ratio: float, iterations: int) -> str:
    """Name of a cell of `dyna_sweep`.

    Args:
        model: "mlp" or "gcnn".
        ratio: Planning ratio.
        iterations: Dyna iterations.
    """
    return f"{model}-ratio-{ratio:g}-iterations-{iterations}"


def planning_config(
    environment: str, kind: str, actor: str = "mlp", total_timesteps: int = 500_000, **fields: Any
) -> DynaConfig:
    """What all agents that plan share: models and networks of the published sizes.

    Args:
        environment: "CartPole" or "Catch".
        kind: Of transition model; "environment" for none.
        actor: Its kind; any but "mlp" has an invariant critic, and the MLP's number of parameters.
        total_timesteps: Environment steps of a seed.
        **fields: Others, as `DynaConfig.flat` calls them.
    """
    budgets = {}
    if actor != "mlp":
        match, critic = _AGENT[environment]
        budgets = {
            "critic": "invariant",
            "match_parameters": match,
            "match_critic_parameters": critic,
        }
    return DynaConfig.from_flat(
        actor=actor,
        total_timesteps=total_timesteps,
        model_kind=kind,
        model_epochs=100.0,
        model_batch_size=128,
        **{**_ROLLOUT[environment], **_MODEL[environment], **budgets, **fields},
    )


def _model_free(config: DynaConfig, total_timesteps: int) -> OnPolicyConfig:
    """The same agent without planning."""
    return dataclasses.replace(config.agent, total_timesteps=total_timesteps)


def _frozen(
    environment: str, base: DynaConfig, kind: str, ratio: float, thesis: tuple = ()
) -> Column:
    label = {"mlp": "MLP model", "gcnn": "equivariant model"}[kind]
    return Column(
        f"{kind}-{ratio:g}",
        f"{label}, ratio {ratio:g}",
        dataclasses.replace(base, planning_ratio=ratio),
        thesis,
        frozen_model=f"{environment}-transition-{kind}",
    )


def _perfect(base: DynaConfig, ratio: float) -> Column:
    config = dataclasses.replace(base, planning_ratio=ratio, model=None)
    return Column(f"perfect-{ratio:g}", f"perfect model, ratio {ratio:g}", config)
