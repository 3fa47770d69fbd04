"""Learns transition models of an environment from data, many seeds at once.

    python -m launchers.train_transition_model --kind=gcnn-readout --data=left --num_seeds=16
    python -m launchers.train_transition_model --env=Catch --data=mine.npz

Shows progress, prints the errors of one step and of many, and writes validation.png into the run
folder. All models are validated on other transitions than they learn from, half of them of a random
policy and half of the zoo's expert.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import rich
from absl import flags
from tf_equirl.dynamics.fit_folder import TRANSITION_RUN

from tf_equirl import dyna, envs
from tf_equirl.dynamics.measures import rollout_errors
from tf_equirl.experiments.plots import plot_training
from tf_equirl.reproductions.thesis.transition_tables import transition_table
from tf_equirl.training.run_folder import read_description

from . import common, config_flags

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
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
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 16, "number of models trained side by side")
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "the seeds are first_seed, first_seed + 1, ...")
_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "run folder (default: runs/<env>-<kind>-<date and time>)"
)
_RESUME = flags.DEFINE_bool(
    "resume",
    False,
    "go on with the run in run_dir; flags left out are taken from it, but for the path of a file",
)
_ROLLOUT_STEPS = flags.DEFINE_integer(
    "rollout_steps", 50, "steps that the models predict on their own at the end; 0 for none"
)
config_flags.define_config_flags(dyna.TransitionModelConfig)
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them

_NUM_ROLLOUTS = 1000
_chosen_run_dir: list[Path] = []


def main() -> None:
    """Trains, prints the tables, draws the curve."""
    if _ROLLOUT_STEPS.value < 0:
        raise ValueError(
            f"rollout_steps must be at least 0. Received: rollout_steps={_ROLLOUT_STEPS.value}"
        )
    if _RESUME.value:
        if not _RUN_DIR.value:
            raise ValueError("--resume needs --run_dir. Received: run_dir=None")
        run_dir = Path(_RUN_DIR.value)
        found = read_description(run_dir, TRANSITION_RUN)
        base = dyna.TransitionModelConfig.from_json(found["config"])
        config = config_flags.config_from_flags(dyna.TransitionModelConfig, base)
        env = envs.make(_ENV.value if flags.FLAGS["env"].present else found["environment"])
        given = flags.FLAGS["num_seeds"].present or flags.FLAGS["first_seed"].present
        seeds = _seeds() if given else found["seeds"]
        how = _collected(found)
        if "data" not in how and not flags.FLAGS["data"].present:
            raise ValueError(
                "data must be given: the run's did not come from a policy. Received: data=None"
            )
    else:
        config = config_flags.config_from_flags(dyna.TransitionModelConfig)
        env = envs.make(_ENV.value)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        run_dir = Path(_RUN_DIR.value or f"runs/{env.name.lower()}-{config.kind}-{stamp}")
        seeds = _seeds()
        how = {}
    data, validation, data_name = _datasets(env, how)
    _chosen_run_dir.append(run_dir)
    result = common.fit_with_progress(
        env,
        data,
        config,
        seeds,
        run_dir,
        validation=validation,
        resume=_RESUME.value,
        label=f"{env.name} {config.kind}",
    )
    count = len(result.seeds)
    title = f"{env.name}, {config.kind} on {len(data):,} transitions ({data_name}), {count} seeds"
    rollouts = np.zeros([count, 0])
    if _ROLLOUT_STEPS.value:
        starts = validation.take(slice(_NUM_ROLLOUTS))
        rollouts = rollout_errors(
            env, result.architecture, result.weights, starts, _ROLLOUT_STEPS.value
        )
    rich.print(transition_table(result, rollouts, title))
    steps_per_epoch = len(data) // min(config.batch_size, len(data))
    print(
        f"compiled in {result.compile_seconds:.1f} s, trained in {result.run_seconds:.1f} s "
        f"({1000 * result.run_seconds / (config.num_epochs * steps_per_epoch * count):.2f} ms a "
        "gradient step of one seed, validation included)"
    )
    curve = run_dir / "validation.png"
    plot_training(result, curve)
    print(f"run folder: {run_dir}\nvalidation error: {curve}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, _how_to_go_on)


def _seeds() -> range:
    return common.seed_range(_NUM_SEEDS.value, _FIRST_SEED.value)


def _how_to_go_on() -> str:
    run_dir = _chosen_run_dir[0] if _chosen_run_dir else None
    further = [f"--data={_DATA.value}"] if _DATA.value.endswith(".npz") else []
    return common.how_to_go_on("train_transition_model", run_dir, *further)


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
) -> tuple[dyna.Transitions, dyna.Transitions, str]:
    """Training data, validation data, and what the former are called.

    Args:
      env: the environment.
      how: values of flags that are not given.
    """

    def value(flag: flags.FlagHolder) -> Any:
        present = flags.FLAGS[flag.name].present
        return flag.value if present else how.get(flag.name, flag.value)

    kind, seed, validation_seed = value(_DATA), value(_DATA_SEED), value(_VALIDATION_SEED)
    if seed == validation_seed and kind in dyna.DATASET_KINDS:
        raise ValueError(
            "validation_seed must differ from data_seed, or models are validated on what they "
            f"learn from. Received: data_seed={seed}, validation_seed={validation_seed}"
        )
    if kind in dyna.DATASET_KINDS:
        data = dyna.make_dataset(env, kind, value(_NUM_TRANSITIONS), seed, _EXPERT.value)
    elif kind.endswith(".npz"):
        data = dyna.Transitions.load(kind, env)
    else:
        raise ValueError(
            f"data must be one of {', '.join(dyna.DATASET_KINDS)}, or a path that ends in .npz. "
            f"Received: data={kind!r}"
        )
    validation = dyna.make_dataset(
        env, "joint", value(_VALIDATION_TRANSITIONS), validation_seed, _EXPERT.value
    )
    return data, validation, Path(kind).name


if __name__ == "__main__":
    run()
