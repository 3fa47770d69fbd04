"""Learns transition models of an environment from data, many seeds at once.

    python -m launchers.train_transition_model --kind=gcnn-readout --data=left --num_seeds=16
    python -m launchers.train_transition_model --env=Catch --data=mine.npz

Shows progress, prints the errors of one step and of many, and writes validation.png into the run
folder. All models are validated on other transitions than they learn from, half of them of a random
policy and half of the zoo's expert.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
from absl import flags

from tf_equirl.dynamics.config import TransitionModelConfig

from . import common, config_flags, run_flags

if TYPE_CHECKING:
    from tf_equirl import dynamics, envs

run_flags.define(
    16,
    "models",
    "runs/<env>-<kind>-<date and time>",
    "go on with the run in run_dir; flags left out are taken from it, but for the path of a file",
)
_DATA = flags.DEFINE_string(
    "data",
    "joint",
    "what to learn from: joint (half random policy, half expert), left (of joint, one action of "
    "each orbit of the group), random, expert, or the path of an .npz file",
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", 40_000, "number of transitions to collect; not for a file"
)
_DATA_SEED = flags.DEFINE_integer("data_seed", 0, "seed of the collected transitions")
_VALIDATION_TRANSITIONS = flags.DEFINE_integer(
    "validation_transitions",
    10_000,
    "number of transitions to be validated on after each epoch, always of the kind joint",
)
_EXPERT = flags.DEFINE_string(
    "expert",
    None,
    "policy of joint, left and expert transitions: a name in the zoo or a .keras file (default: "
    "the zoo's <env>-ppo-gcnn)",
)
_VALIDATION_SEED = flags.DEFINE_integer(
    "validation_seed", 1, "seed of the transitions to be validated on"
)
_ROLLOUT_STEPS = flags.DEFINE_integer(
    "rollout_steps", 50, "steps that the models predict on their own at the end; 0 for none"
)
config_flags.define_config_flags(TransitionModelConfig)
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)

_NUM_ROLLOUTS = 1000


def main() -> None:
    """Trains, prints the tables, draws the curve."""
    import numpy as np

    from tf_equirl import dynamics, experiments

    if _ROLLOUT_STEPS.value < 0:
        raise ValueError(
            f"rollout_steps must be at least 0. Received: rollout_steps={_ROLLOUT_STEPS.value}"
        )
    found = run_flags.description("fit_transition_model")
    base = None if found is None else TransitionModelConfig.from_json(found["config"])
    config = config_flags.config_from_flags(TransitionModelConfig, base)
    env, seeds = run_flags.environment(found), run_flags.seeds(found)
    how = {} if found is None else _collected(found)
    if found is not None and "data" not in how and not common.given("data"):
        raise ValueError(
            "data must be given: the run's did not come from a policy. Received: data=None"
        )
    data, validation, data_name = _datasets(env, how)
    run_dir = run_flags.run_dir(env.name.lower(), config.kind)
    run_flags.claim(run_dir)
    result = common.with_progress(
        dynamics.fit_transition_model,
        env,
        data,
        config,
        seeds,
        run_dir,
        validation=validation,
        resume=found is not None,
        label=f"{env.name} {config.kind}",
    )
    count = len(result.seeds)
    title = f"{env.name}, {config.kind} on {len(data):,} transitions ({data_name}), {count} seeds"
    rollouts = np.zeros([count, 0])
    if _ROLLOUT_STEPS.value:
        starts = validation.take(slice(_NUM_ROLLOUTS))
        weights = result.weights["transition_model"]
        rollouts = dynamics.rollout_errors(
            env, result.architecture, weights, starts, _ROLLOUT_STEPS.value
        )
    rich.print(experiments.transition_table(result, rollouts, title))
    steps_per_epoch = len(data) // min(config.batch_size, len(data))
    print(
        f"compiled in {result.compile_seconds:.1f} s, trained in {result.run_seconds:.1f} s "
        f"({1000 * result.run_seconds / (config.num_epochs * steps_per_epoch * count):.2f} ms a "
        "gradient step of one seed, validation included)"
    )
    curve = run_dir / "validation.png"
    experiments.plot_training(result, curve)
    print(f"run folder: {run_dir}\nvalidation error: {curve}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, _how_to_go_on)


def _how_to_go_on() -> str:
    further = [f"--data={_DATA.value}"] if _DATA.value.endswith(".npz") else []
    return run_flags.how_to_go_on("train_transition_model", *further)


def _collected(run: dict[str, Any]) -> dict[str, Any]:
    """The flags that made a run's datasets; not those of datasets that came from elsewhere."""
    values = {}
    data, validation = run["data_provenance"], run["validation_provenance"]
    if data.get("made_by") == "make_dataset":
        values["data"] = data["kind"]
        values["num_transitions"] = data["num_transitions"]
        values["data_seed"] = data["seed"]
    if validation and validation.get("made_by") == "make_dataset":
        values["validation_transitions"] = validation["num_transitions"]
        values["validation_seed"] = validation["seed"]
    return values


def _datasets(
    env: envs.Environment, how: dict[str, Any]
) -> tuple[dynamics.Transitions, dynamics.Transitions, str]:
    """Training data, validation data, and what the former are called.

    Args:
        env: The environment.
        how: Values of flags that are not given.
    """

    from tf_equirl import dynamics

    def value(flag: flags.FlagHolder) -> Any:
        return flag.value if common.given(flag.name) else how.get(flag.name, flag.value)

    kind, seed, validation_seed = value(_DATA), value(_DATA_SEED), value(_VALIDATION_SEED)
    if seed == validation_seed and kind in dynamics.DATASET_KINDS:
        raise ValueError(
            "validation_seed must differ from data_seed, or models are validated on what they "
            f"learn from. Received: data_seed={seed}, validation_seed={validation_seed}"
        )
    if kind in dynamics.DATASET_KINDS:
        data = dynamics.make_dataset(env, kind, value(_NUM_TRANSITIONS), seed, _EXPERT.value)
    elif kind.endswith(".npz"):
        data = dynamics.Transitions.load(kind, env)
    else:
        raise ValueError(
            f"data must be one of {', '.join(dynamics.DATASET_KINDS)}, or a path that ends in "
            f".npz. Received: data={kind!r}"
        )
    validation = dynamics.make_dataset(
        env, "joint", value(_VALIDATION_TRANSITIONS), validation_seed, _EXPERT.value
    )
    return data, validation, Path(kind).name


if __name__ == "__main__":
    run()
