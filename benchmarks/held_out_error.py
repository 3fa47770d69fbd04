"""How much too good the error is that Dyna reports of its transition models.

    python -m benchmarks.held_out_error

A run of Dyna holds out one of ten transitions of its replay buffer and measures its model on them:
`DynaResult.model_metrics`, what `max_model_error` bounds. They are no fresh data. The transitions
around them in time are fitted, and where there are few states, as in Catch, so are many that are
equal to them.

Agents are trained as in `reproductions.thesis.online_cartpole` and `online_catch`, with an MLP
actor, but not as long. Each time that planning begins the model's loss is measured

* `held-out`: as it is reported, on held-out transitions of the run itself;
* `other seeds`: on the held-out transitions of another seed's run, as many of as many policies,
  none of them fitted or next to one that is;
* `fresh`: on transitions that the seed's policy of that moment makes in fresh episodes.

The table has them after a quarter, a half and all of each run. `others` and `fresh` are ratios to
the held-out loss of the same seed, mean ± two standard errors (median). `fitted` is the share of
held-out, and of fresh, transitions whose observation and action are those of one that is fitted. It
takes about ten minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import rich
import tensorflow as tf
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs, experiments
from tf_equirl.dyna import DynaConfig, collect_transitions
from tf_equirl.dyna.learner import DynaLearner, DynaState
from tf_equirl.dyna.model_population import Kept
from tf_equirl.dyna.train import transition_model
from tf_equirl.dynamics.model_loss import ModelLoss
from tf_equirl.reproductions import thesis
from tf_equirl.training.replay import HELD_OUT, held_out_rows, take
from tf_equirl.training.run import Run

_EXPERIMENTS = {"CartPole": thesis.online_cartpole, "Catch": thesis.online_catch}
_ENVS = flags.DEFINE_multi_enum("env", list(_EXPERIMENTS), list(_EXPERIMENTS), "environments")
_MODELS = {"MLP": "dyna-mlp", "equivariant": "dyna-gcnn"}  # columns of these experiments
_SEEDS = flags.DEFINE_integer("num_seeds", 8, "agents with each model", 2, 32)
_FIRST = flags.DEFINE_integer("first_seed", 3000, "their first seed", lower_bound=0)
_SHARE = flags.DEFINE_float("share", 0.25, "of the experiment's timesteps to train for", 0.01, 1.0)
_ROWS = flags.DEFINE_integer("num_transitions", 2000, "in fresh episodes of each seed", 1)
_PARTS = (0.25, 0.5, 1.0)  # of a run


@dataclasses.dataclass
class Measured:
    """What was measured when a planning began, `[seeds]` each."""

    timestep: int
    held_out: np.ndarray
    other_seeds: np.ndarray
    fresh: np.ndarray
    held_out_fitted: np.ndarray
    fresh_fitted: np.ndarray

    def row(self, environment: str, model: str) -> dict[str, Any]:
        """Means over seeds, with two standard errors of ratios."""
        row: dict[str, Any] = {
            "environment": environment,
            "model": model,
            "timestep": self.timestep,
            "seeds": len(self.held_out),
        }
        for name in ("held_out", "other_seeds", "fresh", "held_out_fitted", "fresh_fitted"):
            row[name], row[f"{name}_error"] = experiments.mean_and_error(getattr(self, name))
        for name in ("other_seeds", "fresh"):
            ratio = getattr(self, name) / self.held_out
            row[f"{name}_ratio"], row[f"{name}_ratio_error"] = experiments.mean_and_error(ratio)
            row[f"{name}_ratio_median"] = float(np.median(ratio))
        return row


def main() -> None:
    """Trains and measures."""
    machine = common.describe_machine()
    rows = []
    for environment in _ENVS.value:
        columns = {c.name: c.config for c in _EXPERIMENTS[environment]().columns}
        for model, column in _MODELS.items():
            print(f"{environment}, {model} model ...", flush=True)
            config = columns[column]
            assert isinstance(config, DynaConfig)
            config = shortened(config, _SHARE.value)
            rows += [m.row(environment, model) for m in measure(envs.make(environment), config)]
    rich.print(_table(rows))
    common.finish(machine, rows)


def shortened(config: DynaConfig, share: float) -> DynaConfig:
    """The config of a shorter run, with iterations as long as they were."""
    iterations = max(1, round(share * config.dyna_iterations))
    total = config.agent.total_timesteps * iterations // config.dyna_iterations
    agent = dataclasses.replace(config.agent, total_timesteps=total)
    return dataclasses.replace(config, agent=agent, dyna_iterations=iterations)


def measure(env: envs.Environment, config: DynaConfig) -> Iterator[Measured]:
    """Trains agents, and measures their models on the way."""
    model, frozen = transition_model(env, config)
    learner = DynaLearner(config.agent.learner(env), config, model, frozen)
    seeds = tuple(range(_FIRST.value, _FIRST.value + _SEEDS.value))
    chosen = {max(1, round(part * config.dyna_iterations)) for part in _PARTS}
    states: dict[int, DynaState] = {}

    def told(_: Any) -> None:
        done = run.state.done["measure"]
        if done in chosen and done not in states:
            (state,) = run.state.states
            # Variables of the buffer are written to as the run goes on.
            states[done] = state._replace(buffer=tf.nest.map_structure(tf.constant, state.buffer))

    run = Run(learner, seeds, None, told)
    result = run.train()
    loss = _loss_of(learner)
    for iteration, state in states.items():
        filled = learner.schedule.filled(iteration - 1)
        members = len(state.agent.seeds)
        numbers = tf.tile(held_out_rows(tf.constant(filled))[None], [members, 1])
        held_out = take(state.buffer, numbers)
        others = tf.nest.map_structure(
            lambda x: tf.concat([tf.roll(x[: len(seeds)], 1, 0), x[len(seeds) :]], 0), held_out
        )
        fresh = _fresh(learner, state, iteration)
        reported = result.model_metrics[learner.metric_names[0]][:, iteration - 1]
        again = loss(state.model, held_out).numpy()[: len(seeds)]
        np.testing.assert_allclose(again, reported, rtol=1e-3)
        fitted = [_inputs(env, state.buffer, i)[_is_fitted(filled)] for i in range(len(seeds))]
        yield Measured(
            timestep=int(result.planning_timesteps[iteration - 1]),
            held_out=reported,
            other_seeds=loss(state.model, others).numpy()[: len(seeds)],
            fresh=loss(state.model, fresh).numpy()[: len(seeds)],
            held_out_fitted=_share_known(env, held_out, fitted),
            fresh_fitted=_share_known(env, fresh, fitted),
        )


def _loss_of(learner: DynaLearner) -> Any:
    """From the weights of the models and rows `[members, k]` to the mean losses `[members]`."""
    env, models = learner.env, learner.models
    loss = ModelLoss(env, learner.model)

    @tf.function(jit_compile=True, autograph=False)
    def mean(weights: Any, rows: Kept) -> tf.Tensor:
        members, count = rows.action.shape
        batch = models.batch(rows, tf.tile(tf.range(count)[None], [members, 1]))
        outputs = loss.predictions(weights, batch.observation, batch.action)
        return tf.reduce_mean(env.transition_head.metrics(outputs, batch.target)[0], axis=-1)

    return mean


def _fresh(learner: DynaLearner, state: DynaState, iteration: int) -> Kept:
    """What each seed's policy does in episodes of its own, `[members, transitions]`."""
    actor = keras.models.clone_model(learner.networks["actor"])
    parts = []
    for i, seed in enumerate(state.agent.seeds.numpy()):
        weights = [w[i] for w in state.agent.weights.trained["actor"]]
        for variable, value in zip(actor.trainable_variables, weights, strict=True):
            variable.assign(value)
        # No seed of a run draws the same numbers.
        number = 1_000_000 + 1_000 * iteration + int(seed)
        data = collect_transitions(learner.env, actor, _ROWS.value, number)
        parts.append(Kept(data.state, data.action, data.next_state))
    return tf.nest.map_structure(lambda *x: tf.constant(np.stack(x)), *parts)


def _is_fitted(filled: int) -> np.ndarray:
    """The numbers of the rows of a buffer that the model is fitted to."""
    numbers = np.arange(filled // HELD_OUT * HELD_OUT)
    return numbers[numbers % HELD_OUT != HELD_OUT - 1]


def _inputs(env: envs.Environment, rows: Kept, member: int) -> np.ndarray:
    """Observations and actions of one member's rows, `[k, d + 1]`."""
    state, action = tf.nest.map_structure(lambda x: x[member], (rows.state, rows.action))
    observation = np.reshape(env.observe(state), [len(action), -1])
    return np.concatenate([observation, np.asarray(action)[:, None]], axis=1)


def _share_known(env: envs.Environment, rows: Kept, fitted: list[np.ndarray]) -> np.ndarray:
    """Of each seed the share of its rows that are among those that its model was fitted to."""
    shares = []
    for i, known in enumerate(fitted):
        seen = {row.tobytes() for row in known}
        shares.append(np.mean([row.tobytes() in seen for row in _inputs(env, rows, i)]))
    return np.array(shares)


def _table(rows: list[dict[str, Any]]) -> Any:
    caption = (
        "others, fresh: ratios to the held-out loss of the same seed,\n"
        "mean ± two standard errors (median)\n"
        "fitted: of held-out, of fresh transitions, % equal to fitted ones"
    )
    columns = ("steps", "held-out", "others", "fresh", "fitted")
    table = common.table("Held-out losses of Dyna's models", caption, "model", columns)
    last = None
    for row in rows:
        if row["environment"] != last:
            last = row["environment"]
            table.add_section()
            table.add_row(last, style="bold")
        ratios = [
            f"{experiments.rounded(row[name], row[f'{name}_error'])} ({row[f'{name}_median']:.2g})"
            for name in ("other_seeds_ratio", "fresh_ratio")
        ]
        shares = [f"{100 * row[name]:.0f}" for name in ("held_out_fitted", "fresh_fitted")]
        cells = (f"{row['timestep']:,}", f"{row['held_out']:.1e}", *ratios, ", ".join(shares))
        table.add_row(row["model"], *cells)
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
