"""The learning of transition models as a learner: many members in one XLA program."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.model_loss import ROLE, Batch, ModelLoss, Rows
from tf_equirl.dynamics.progress import FitProgress
from tf_equirl.dynamics.result import STEPS_PER_CALL, TransitionResult, transition_result
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.envs import Environment
from tf_equirl.training import programs
from tf_equirl.training.learner import (
    Learner,
    Reports,
    RunView,
    Stage,
    Trouble,
    mean_of_sound,
)
from tf_equirl.training.loops import repeat, repeat_and_stack
from tf_equirl.training.model_checks import check_model
from tf_equirl.training.optimizer import (
    OPTIMIZER_FIELDS,
    AdamState,
    adam_settings,
    initial_adam_state,
)
from tf_equirl.training.population import Weights, adam_update, finite_weights
from tf_equirl.training.result import Outcome
from tf_equirl.training.run_folder import RunFolder

# Rows of one forward pass of the validation.
_VALIDATION_ROWS = 2048
# Keeps the order of the data apart from other random numbers that are drawn from the same seed.
_SHUFFLE_KEY = 5


class FitState(NamedTuple):
    """All that a run needs to go on: tensors with a leading `[members]` axis."""

    seeds: tf.Tensor
    weights: Weights
    adam: AdamState
    sound: tf.Tensor  # bool: whether all losses were finite


class TransitionLearner(Learner):
    """Supervised learning of a transition model for many members.

    All members learn from the same transitions, each in an order of its own. States become
    observations and encodings inside the program, so that the device holds no more than the states.
    A transition from a terminal state is none of the dynamics and counts for nothing.

    A run has two stages: "step", gradient steps, and "validate", after each epoch.

    Args:
        env: The environment.
        config: Hyperparameters.
        model: Keras model, called with `[observation, action]`.
        data: The transitions to learn from.
        validation: The transitions to be measured on after each epoch; None measures nothing.

    Raises:
        ValueError: If the model does not fit the environment, or no transition of a dataset starts
            from a state that is not terminal.
    """

    trainer = "fit_transition_model"
    config: TransitionModelConfig
    per_member = OPTIMIZER_FIELDS

    def __init__(
        self,
        env: Environment,
        config: TransitionModelConfig,
        model: keras.Model,
        data: Transitions,
        validation: Transitions | None,
    ):
        check_transition_model("model", env, model)
        super().__init__(env, config, {ROLE: model})
        self.loss = ModelLoss(env, model)
        self.batch_size = min(config.batch_size, len(data))
        self.steps_per_epoch = len(data) // self.batch_size
        self.steps_per_call = min(self.steps_per_epoch, STEPS_PER_CALL)
        self.rows = _on_device(env, data, "data")
        self.validation_rows = None
        self.metric_names: tuple[str, ...] = ()
        if validation is not None:
            self.validation_rows = _in_parts(_on_device(env, validation, "validation"))
            self.metric_names = env.transition_head.metric_names
        self._datasets = data, validation

    def start(
        self, seeds: Sequence[int], configs: Sequence[TransitionModelConfig] | None = None
    ) -> FitState:
        """The state before the first epoch: every member's weights are drawn from its seed."""
        configs = [self.config] * len(seeds) if configs is None else configs
        weights = self.population.fresh(seeds)
        settings = adam_settings(configs, self.num_updates)
        adam = initial_adam_state(tf.nest.flatten(weights.trained), settings)
        return FitState(
            tf.constant(list(seeds), tf.int32), weights, adam, tf.ones([len(seeds)], tf.bool)
        )

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """See `Learner.stages`."""
        return {
            "step": Stage("step", self._steps, self.steps_per_call, seconds=math.inf),
            "validate": Stage("validate", self._validate, 1),
        }

    def ahead(self, done: Mapping[str, int]) -> tuple[str, int] | None:
        """See `Learner.ahead`."""
        epochs = done["validate"]
        if epochs == self.config.num_epochs:
            return None
        steps = (epochs + 1) * self.steps_per_epoch - done["step"]
        return ("step", min(steps, self.steps_per_call)) if steps else ("validate", 1)

    def order(self, seeds: Sequence[int], first: int, number: int) -> np.ndarray:
        """Row numbers `[members, number, batch_size]` of gradient steps of one epoch.

        They are drawn on the host, keyed by (seed, epoch): for 16 members and 400,000 transitions
        that takes 0.4 s an epoch, and sorting random keys in XLA 6 s.
        """
        epoch, start = divmod(first, self.steps_per_epoch)
        members = [self._epoch_order(int(seed), epoch) for seed in seeds]
        return np.stack([order[start : start + number] for order in members])

    @functools.lru_cache(maxsize=64)  # noqa: B019 # of one epoch; it goes with the learner
    def _epoch_order(self, seed: int, epoch: int) -> np.ndarray:
        steps, size = self.steps_per_epoch, self.batch_size
        random = np.random.default_rng([_SHUFFLE_KEY, seed, epoch])
        permutation = random.permutation(self.rows.action.shape[0]).astype(np.int32)
        return permutation[: steps * size].reshape(steps, size)

    def batch(self, rows: Rows, numbers: tf.Tensor) -> Batch:
        """The rows with these numbers, `[members, rows]`."""
        flat = tf.reshape(numbers, [-1])
        taken = tf.nest.map_structure(lambda x: tf.gather(x, flat), rows)
        shape = numbers.shape.as_list()
        columns = self.loss.columns(taken)
        return Batch(*[tf.reshape(x, [*shape, *x.shape[1:]]) for x in columns])

    def step(
        self, state: FitState, rows: Rows, numbers: tf.Tensor, count: tf.Tensor
    ) -> tuple[FitState, Reports]:
        """One gradient step of every member.

        Args:
            state: The state before it.
            rows: All the data.
            numbers: Of the rows to learn from, `[members, batch_size]`.
            count: Float scalar, the number of this step, from 1.

        Returns:
            The state after it, and the losses.
        """
        gradients, losses = self.loss.gradients(state.weights, self.batch(rows, numbers))
        rate = state.adam.settings.learning_rate(count - 1.0)
        weights, adam = adam_update(state.weights, gradients, state.adam, count, rate)
        sound = state.sound & tf.math.is_finite(losses)
        return FitState(state.seeds, weights, adam, sound), {"loss": losses}

    @property
    def num_updates(self) -> int:
        """Gradient steps in the whole run."""
        return self.config.num_epochs * self.steps_per_epoch

    def weights(self, state: FitState) -> dict[str, list[tf.Tensor]]:
        """See `Learner.weights`."""
        return self.population.arrays(state.weights)

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """See `Learner.key`: the data are arguments of the programs."""
        return *super().key, self.batch_size, self.steps_per_epoch

    def describe(self) -> dict[str, Any]:
        """See `Learner.describe`.

        The data themselves are not kept in the folder, only what they are known by: their number, a
        checksum, and, as a record, how they were made.
        """
        data, validation = self._datasets
        return {
            "data": _fingerprint(data),
            "validation_data": None if validation is None else _fingerprint(validation),
            "data_provenance": data.provenance,
            "validation_provenance": None if validation is None else validation.provenance,
        }

    def progress(self, view: RunView) -> FitProgress:
        """See `Learner.progress`."""
        step, validate = view.last.get("step"), view.last.get("validate", {})
        return FitProgress(
            epochs=view.done["validate"],
            num_epochs=self.config.num_epochs,
            done=(view.done["step"] + view.done["validate"])
            / (self.num_updates + self.config.num_epochs),
            loss=mean_of_sound(step["loss"]) if step else math.nan,
            validation={
                name: mean_of_sound(validate[name]) if name in validate else math.nan
                for name in self.metric_names
            },
            steps_per_second=view.rate if view.stage == "step" else 0.0,
            compile_seconds=view.compile_seconds,
        )

    def scalars(self, stage: str, first: int, reports: Reports) -> Iterator[tuple[str, float, int]]:
        """See `Learner.scalars`: losses by gradient step, metrics by epoch."""
        if stage == "step":
            yield "training/loss", mean_of_sound(reports["loss"]), first + len(reports["loss"])
            return
        for name in self.metric_names:
            yield f"validation/{name}", mean_of_sound(reports[name]), first + 1

    def trouble(self, stage: str, index: int, state: Any, member: int) -> Trouble:
        """See `Learner.trouble`."""
        return Trouble(
            "a loss, weight or prediction is infinite or NaN", f"in epoch {index}", index
        )

    def result(self, outcome: Outcome) -> TransitionResult:
        """See `Learner.result`."""
        return transition_result(
            self.env, self.config, self.networks, outcome, self.steps_per_epoch
        )

    def write(self, folder: RunFolder, outcome: Outcome, result: Any) -> None:
        """Writes `results.csv`, one row per seed and epoch."""
        columns = {"loss": result.loss}
        columns.update({f"validation_{name}": x for name, x in result.validation.items()})
        rows = [
            [seed, epoch + 1, *(f"{x[i, epoch]:.6g}" for x in columns.values())]
            for i, seed in enumerate(outcome.seeds)
            for epoch in range(outcome.done["validate"])
            if np.isfinite(result.loss[i, epoch])
        ]
        folder.write_rows(["seed", "epoch", *columns], rows)

    def _steps(self, state: FitState, first: int, number: int) -> tuple[FitState, Reports]:
        most = self.steps_per_call

        def make() -> Any:
            @tf.function(jit_compile=True, autograph=False)
            def run(state, rows, order, first, number):
                def body(i, state):
                    count = tf.cast(first + i + 1, tf.float32)
                    return self.step(state, rows, tf.gather(order, i, axis=1), count)

                return repeat_and_stack(number, body, state, maximum=most)

            return run

        order = self.order(state.seeds.numpy(), first, number)
        # Calls have one shape; of the last one only the first steps count.
        order = np.pad(order, [(0, 0), (0, most - number), (0, 0)])
        program = programs.cached(("step", most, self.key), make)
        return program(
            state, self.rows, tf.constant(order), tf.constant(first), tf.constant(number)
        )

    def _validate(self, state: FitState, first: int, number: int) -> tuple[FitState, Reports]:
        def make() -> Any:
            return tf.function(self.measure, jit_compile=True, autograph=False)

        program = programs.cached(("validate", self.validation_rows is None, self.key), make)
        reports = program(state, self.validation_rows)
        return state, {name: tf.expand_dims(x, 0) for name, x in reports.items()}

    def measure(self, state: FitState, rows: Rows | None) -> Reports:
        """The head's metrics on the validation data, `[members]` each, and whether all is finite.

        Members take turns, so that memory stays small and the numbers of one do not depend on how
        many there are.

        Args:
            state: Of the run.
            rows: The validation data in parts, or None.
        """
        finite = state.sound & finite_weights(state.weights)
        if rows is None:
            return {"finite": finite}
        parts, kinds = rows.action.shape[0], len(self.metric_names)

        def member(weights):
            def body(i, totals):
                part = tf.nest.map_structure(lambda x: x[i], rows)
                with self.population.bound(weights):
                    found = self.loss.totals(self.loss.columns(part))
                return [a + b for a, b in zip(totals, found, strict=True)]

            totals = repeat(parts, body, [tf.zeros([]) for _ in range(kinds)])
            return tf.stack(totals) / tf.reduce_sum(rows.weight)

        signature = tf.TensorSpec([kinds])
        metrics = tf.map_fn(member, state.weights, fn_output_signature=signature)
        finite &= tf.reduce_all(tf.math.is_finite(metrics), axis=1)
        return {**{n: metrics[:, i] for i, n in enumerate(self.metric_names)}, "finite": finite}


def check_transition_model(
    name: str, env: Environment, model: keras.Model, trained: bool = True
) -> None:
    """Checks that a transition model fits an environment; see `check_model`.

    Raises:
        ValueError: If it does not.
    """
    check_model(
        name,
        model,
        f"a list of observations and one-hot actions of {env.name}",
        [(None, *env.observation_shape), (None, env.num_actions)],
        f"encoded states of {env.name}",
        (None, env.transition_head.representation.dim),
        trained,
    )


def _fingerprint(data: Transitions) -> dict[str, Any]:
    """What tells one dataset from another, as plain JSON types."""
    digest = hashlib.sha256()
    arrays = {"action": data.action}
    for part in ("state", "next_state"):
        fields = getattr(data, part)._asdict()
        arrays.update({f"{part}.{field}": values for field, values in fields.items()})
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return {"num_transitions": len(data), "sha256": digest.hexdigest()}


def _on_device(env: Environment, data: Transitions, name: str) -> Rows:
    state, action, next_state = tf.nest.map_structure(
        tf.constant, (data.state, data.action, data.next_state)
    )
    terminal = env.is_terminal(state)
    if np.all(terminal):
        raise ValueError(
            f"{name} must hold transitions from states that are not terminal. Received: "
            f"{name} of {len(data)} transitions, all of them from terminal states"
        )
    return Rows(state, action, next_state, 1.0 - tf.cast(terminal, tf.float32))


def _in_parts(rows: Rows) -> Rows:
    """The rows as `[parts, rows, ...]`, filled up with rows that do not count."""
    count = rows.action.shape[0]
    parts = -(-count // _VALIDATION_ROWS)
    size = -(-count // parts)
    numbers = np.minimum(np.arange(parts * size), count - 1).reshape(parts, size)
    split = tf.nest.map_structure(lambda x: tf.gather(x, numbers), rows)
    counting = tf.constant(np.arange(parts * size).reshape(parts, size) < count, tf.float32)
    return split._replace(weight=split.weight * counting)
