"""What errors in the data of a transition model cost an agent that plans in it.

    python -m benchmarks.dyna_errors

CartPole agents with an MLP actor, with models of two kinds. The configuration is that of
`experiments.online_cartpole`, two PPO updates an iteration. One thing at a time is changed to what
the code of the thesis does:

* `model-free`: PPO without planning.
* `correct`: the model is learned while acting, from all transitions so far.
* `shifted`: as that, but each update's states, flattened over [step, environment], are rolled by
  one entry and taken for the next states: next_state[i] = state[i - 1].
* `last iteration`: as `correct`, but the model is fitted to the last iteration's transitions alone.
* `random`: the model is learned from random play before, and frozen.
* `repeated key`: as that, but the random key is never advanced: each of 16 environments repeats one
  action for ever, and always starts from the same state.

Frozen models take equal numbers of gradient steps on equal numbers of rows; each agent has its own.
`error` is the mean squared one-step error of the final models on the same true transitions, half of
random play and half of an expert's. `SE` is the difference of the area under the curve to that of
another condition, over the same seeds, in standard errors.

Call it again with the same flags to go on with what `out_dir` holds. The table is also written to
dyna_errors.csv there, with the models' errors on the held-out rows that the agents have themselves.
By default it takes about half an hour on two cores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich
import tensorflow as tf
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import dyna, envs, experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult, train_ppo
from tf_equirl.dyna.learner import DynaLearner, DynaState
from tf_equirl.dyna.model_population import Kept
from tf_equirl.dynamics.fit import build_model
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.envs.environment import select
from tf_equirl.reproductions import thesis
from tf_equirl.training import Rollout, train

_SEEDS = flags.DEFINE_integer("num_seeds", 8, "agents in each condition", lower_bound=2)
_FIRST = flags.DEFINE_integer("first_seed", 2000, "their first seed", lower_bound=0)
_TOTAL = flags.DEFINE_integer("total_timesteps", 40_960, "real steps of each agent")
_RATIO = flags.DEFINE_float("planning_ratio", 8.0, "planned updates by real update", 0.01)
_ROWS = flags.DEFINE_integer("num_transitions", 40_000, "of random play", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("model_epochs", 50, "passes over them", lower_bound=1)
_OUT = flags.DEFINE_string("out_dir", "runs/dyna_errors", "folder of the runs and the table")

_MODELS = ("dyna-mlp", "dyna-gcnn")  # columns of the experiment
_UPDATES_PER_ITERATION = 2
_TIMESTEPS = (20_000, 40_000)
_TRUE_ROWS = 10_000  # what models are measured on
_AGAINST = {
    "correct": "model-free",
    "shifted": "correct",
    "last iteration": "correct",
    "random": "correct",
    "repeated key": "random",
}


class Mistaken(DynaLearner):
    """Dyna with one of the mistakes, whose run folder is taken for no other.

    Args:
        condition: Name of the mistake.
        weights: Of the models that are planned in, `[seeds, ...]` each and never fitted; None fits.
        seeds: Theirs.
        *arguments: See `DynaLearner`.
    """

    def __init__(self, condition: str, weights: Any, seeds: Sequence[int], *arguments: Any):
        super().__init__(*arguments, None if weights is None else condition)
        self._condition, self._weights, self._seeds = condition, weights, seeds

    @property
    def trainer(self) -> str:  # type: ignore[override]
        """What the run folder keeps."""
        return f"benchmarks.dyna_errors, {self._condition}"

    def start(self, seeds: Sequence[int]) -> DynaState:
        """As `DynaLearner.start`, with the model that each seed has been given."""
        state = super().start(seeds)
        if self._weights is None:
            return state
        places = [self._seeds.index(seed) for seed in seeds]
        own = {ROLE: [tf.constant(w[places]) for w in self._weights]}
        return state._replace(model=state.model._replace(trained=own))


class Shifted(Mistaken):
    """Dyna that takes the state in the row before for the next state."""

    def rows(self, rollout: Rollout) -> Kept:
        """As `DynaLearner.rows`, with `next_state[i] = state[i - 1]`; the first has the last."""
        rows = super().rows(rollout)
        rolled = tf.nest.map_structure(lambda x: tf.roll(x, 1, axis=1), rows.state)
        return rows._replace(next_state=rolled)


def repeated_key(
    env: envs.Environment, num_transitions: int, seed: int = 0, num_environments: int = 16
) -> dyna.Transitions:
    """Random play whose random numbers are drawn once and used at every step.

    Args:
        env: The environment.
        num_transitions: Rows, in the order of time.
        seed: An integer in [0, 2^31).
        num_environments: Environments side by side.
    """
    random = np.random.default_rng(seed)
    numbers = random.random((num_environments, 1 + env.num_uniforms), dtype=np.float32)
    action = tf.constant((numbers[:, 0] * env.num_actions).astype(np.int32))
    uniforms = tf.constant(numbers[:, 1:])
    start = env.initial_state(uniforms)

    @tf.function(jit_compile=True, autograph=False)
    def step(state):
        _, moved, _, terminated, truncated = env.advance(state, action, uniforms)
        return select(terminated | truncated, start, moved), moved

    state, rows = start, []
    for _ in range(-(-num_transitions // num_environments)):
        following, moved = step(state)
        rows.append(tf.nest.map_structure(lambda x: x.numpy(), (state, action, moved)))
        state = following
    columns = tf.nest.map_structure(lambda *x: np.concatenate(x)[:num_transitions], *rows)
    how = {"made_by": "benchmarks.dyna_errors.repeated_key", "seed": seed}
    return dyna.Transitions.from_arrays(env, *columns, how)


def distinct_rows(data: dyna.Transitions) -> int:
    """How many pairs of a CartPole state and an action differ."""
    pairs = np.concatenate([data.state.physics, data.action[:, None]], axis=1)
    return len(np.unique(pairs, axis=0))


def main() -> None:
    """Trains whatever is missing, and compares it."""
    machine = common.describe_machine()
    env, folder = envs.make("CartPole"), Path(_OUT.value)
    seeds = tuple(range(_FIRST.value, _FIRST.value + _SEEDS.value))
    columns = {c.name: c.config for c in thesis.online_cartpole().columns}
    truth = dyna.make_dataset(env, "joint", _TRUE_ROWS, seed=1)
    data = {
        "random": dyna.make_dataset(env, "random", _ROWS.value),
        "repeated key": repeated_key(env, _ROWS.value),
    }
    for name, rows in data.items():
        print(f"data, {name}: {len(rows):,} rows, {distinct_rows(rows):,} distinct", flush=True)
    config = dataclasses.replace(columns["mlp"], total_timesteps=_TOTAL.value)
    print("model-free ...", flush=True)
    free = train_ppo(env, config, seeds, **_where(folder / "model-free"))
    rows = [_row(env, "none", "model-free", free, None, truth)]
    for name in _MODELS:
        base = dataclasses.replace(
            columns[name],
            agent=dataclasses.replace(columns[name].agent, total_timesteps=_TOTAL.value),
            planning_ratio=_RATIO.value,
            dyna_iterations=max(1, config.num_updates // _UPDATES_PER_ITERATION),
        )
        results: dict[str, TrainingResult] = {"model-free": free}
        for condition, against in _AGAINST.items():
            print(f"{base.model.kind}, {condition} ...", flush=True)
            where = folder / base.model.kind / condition.replace(" ", "-")
            results[condition] = _run(env, base, seeds, where, condition, data.get(condition))
            pair = (against, results[against])
            rows.append(_row(env, base.model.kind, condition, results[condition], pair, truth))
    write_text_atomically(folder / "dyna_errors.csv", experiments.to_csv(rows))
    rich.print(_table(rows, f"CartPole, planning ratio {_RATIO.value:g}, {len(seeds)} seeds"))
    change = np.mean(np.square(env.encode(truth.next_state) - env.encode(truth.state)))
    print(f'error of the prediction "no change": {change:.2g}\ntable: {folder}/dyna_errors.csv')
    common.finish(machine, rows)


def _run(env, config, seeds, folder, condition, data) -> dyna.DynaResult:
    """The agents of a condition; `data` are those that models are learned from before, or None."""
    if condition == "last iteration":
        most = max(np.diff((0, *config.boundaries)))
        config = dataclasses.replace(config, buffer_size=int(most) * config.agent.batch_size)
    if condition in ("correct", "last iteration"):
        return dyna.train_dyna(env, config, seeds, **_where(folder / "agents"))
    model, weights = build_model(env, config.model), None
    if data is not None:
        fitted = dataclasses.replace(config.model, num_epochs=_EPOCHS.value)
        where = _where(folder / "models")
        result = dyna.fit_transition_model(env, data, fitted, seeds, **where, model=model)
        weights = result.weights[ROLE]
    kind = Shifted if data is None else Mistaken
    learner = kind(condition, weights, seeds, config.agent.learner(env), config, model)
    return train(learner, seeds, **_where(folder / "agents"))


def _where(folder: Path) -> dict[str, Any]:
    return {"run_dir": folder, "resume": (folder / "run.json").exists()}


def _row(env, model, condition, result, against, truth) -> dict[str, Any]:
    """What is read off the runs of a condition; `against` is a name and what has that name."""
    row: dict[str, Any] = {"model": model, "condition": condition, "seeds": len(result.seeds)}
    last = int(result.timesteps[-1])
    columns = {f"return_{t}": experiments.return_at(result, t) for t in _TIMESTEPS if t <= last}
    columns["area_under_curve"] = experiments.area_under_curve(result)
    columns["model_error"] = columns["error_on_own_rows"] = np.full(len(result.seeds), np.nan)
    if isinstance(result, dyna.DynaResult):
        weights = [w[:, 0] for w in result.weights[ROLE]]
        architecture = result.transition_model(result.seeds[0])
        errors = dyna.transition_errors(env, architecture, weights, truth)
        columns["model_error"] = np.nanmean(errors["mean_square"], axis=1)
        columns["error_on_own_rows"] = result.model_metrics["mean_square"][:, -1]
    for name, values in columns.items():
        row[name], row[f"{name}_error"] = experiments.mean_and_error(values)
    area = columns["area_under_curve"]
    name, other = against or ("", None)
    baseline = experiments.area_under_curve(other) if against else np.full_like(area, np.nan)
    difference = experiments.paired_difference(area, baseline)
    return {
        **row,
        "against": name,
        "difference": difference.mean,
        "difference_error": 2 * difference.standard_error,
        "difference_standard_errors": difference.standard_errors,
    }


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    returns = [f"return_{t}" for t in _TIMESTEPS if f"return_{t}" in rows[0]]
    heads = [f"{t // 1000}k" for t in _TIMESTEPS[: len(returns)]]
    against = "\n".join(f"{a} - {b}" for a, b in _AGAINST.items())
    caption = f"± two standard errors. AUC: mean of the curve. Differences of AUC (SE):\n{against}"
    table = common.table(title, caption, "condition", (*heads, "AUC", "error", "SE"))
    for row in rows:
        if row["condition"] == "correct":
            table.add_section()
            table.add_row(row["model"], style="bold")
        names = (*returns, "area_under_curve")
        cells = [experiments.rounded(row[name], row[f"{name}_error"]) for name in names]
        learned = bool(row["against"])
        cells.append(f"{row['model_error']:.1e}" if learned else "")
        cells.append(f"{row['difference_standard_errors']:+.1f}" if learned else "")
        table.add_row(row["condition"], *cells)
    return table


if __name__ == "__main__":
    launch(main, lambda: "What was trained is saved: call it again with the same flags.")
