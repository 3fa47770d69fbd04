"""The compiled side of learning transition models: many members in one XLA program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.model_loss import Batch, ModelLoss, Rows
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.envs import Environment
from tf_equirl.training.loops import repeat
from tf_equirl.training.optimizer import AdamState, adam_step, initial_adam_state
from tf_equirl.training.population import initial_weights

# Gradient steps of one compiled call at most: a few seconds, so that Ctrl-C is heard and progress
# seen within an epoch of many transitions.
_STEPS_PER_CALL = 256
# Rows of one forward pass of the validation.
_VALIDATION_ROWS = 2048
# Keeps the order of the data apart from other random numbers that are drawn from the same seed.
_SHUFFLE_KEY = 5


class Carry(NamedTuple):
    """All that a run needs to go on: tensors with a leading `[members]` axis."""

    weights: list[tf.Tensor]
    adam: AdamState


class FitProgram:
    """Supervised learning of a transition model for many members, as compiled functions.

    All members learn from the same transitions, each in an order of its own. Weights are stacked on
    a leading population axis; `tf.vectorized_map` takes the gradient of the head's loss for each
    member, with the member's weights bound to the Keras model. States become observations and
    encodings inside the program, so that the device holds no more than the states. A member's
    numbers depend on its own seed and on nothing of the other members.

    A transition from a terminal state is none of the dynamics and counts for nothing.

    Args:
      env: the environment.
      config: hyperparameters.
      model: Keras model, called with `[observation, action]`.
      data: the transitions to learn from.
      validation: the transitions to be measured on after each epoch; None measures nothing.

    Attributes:
      metric_names: what is measured after each epoch.

    Raises:
      ValueError: if no transition of a dataset starts from a state that is not terminal.
    """

    def __init__(
        self,
        env: Environment,
        config: TransitionModelConfig,
        model: keras.Model,
        data: Transitions,
        validation: Transitions | None,
    ):
        """See the class."""
        self.env = env
        self.config = config
        self.model = model
        self.loss = ModelLoss(env, model)
        self.batch_size = min(config.batch_size, len(data))
        self.steps_per_epoch = len(data) // self.batch_size
        self.steps_per_call = min(self.steps_per_epoch, _STEPS_PER_CALL)
        self.data = _on_device(env, data, "data")
        self.validation = None
        self.metric_names: tuple[str, ...] = ()
        if validation is not None:
            self.validation = _in_parts(_on_device(env, validation, "validation"))
            self.metric_names = env.transition_head.metric_names
        self.train = tf.function(self._train, jit_compile=True, autograph=False)
        self.evaluate = tf.function(self._evaluate, jit_compile=True, autograph=False)

    def start(self, seeds: Sequence[int]) -> Carry:
        """The state before the first epoch: every member's weights are drawn from its seed."""
        weights = [tf.constant(w) for w in initial_weights(self.model, seeds)]
        return Carry(weights, initial_adam_state(weights))

    def order(self, seeds: Sequence[int], epoch: int) -> np.ndarray:
        """Row numbers of every gradient step of an epoch: `[members, steps_per_epoch, batch_size]`.

        They are drawn on the host, keyed by (seed, epoch): for 16 members and 400,000 transitions
        that takes 0.4 s, and sorting random keys in XLA 6 s.
        """
        steps, size = self.steps_per_epoch, self.batch_size
        order = np.empty([len(seeds), steps, size], np.int32)
        for row, seed in enumerate(seeds):
            random = np.random.default_rng([_SHUFFLE_KEY, seed, epoch])
            permutation = random.permutation(self.data.action.shape[0])
            order[row] = permutation[: steps * size].reshape(steps, size)
        return order

    def batch(self, numbers: tf.Tensor) -> Batch:
        """The rows of the data with these numbers, `[members, rows]`."""
        flat = tf.reshape(numbers, [-1])
        rows = tf.nest.map_structure(lambda x: tf.gather(x, flat), self.data)
        shape = numbers.shape.as_list()
        columns = self.loss.columns(rows)
        return Batch(*[tf.reshape(x, [*shape, *x.shape[1:]]) for x in columns])

    def step(self, carry: Carry, numbers: tf.Tensor, count: tf.Tensor) -> tuple[Carry, tf.Tensor]:
        """One gradient step of every member.

        Args:
          carry: the state before it.
          numbers: of the rows to learn from, `[members, batch_size]`.
          count: float scalar, the number of this step, from 1.

        Returns:
          The state after it and the losses, `[members]`.
        """
        c = self.config
        gradients, losses = self.loss.gradients(carry.weights, self.batch(numbers))
        rate = c.learning_rate * tf.ones([])
        if c.anneal_learning_rate:
            rate *= 1.0 - (count - 1.0) / (c.num_epochs * self.steps_per_epoch)
        weights, adam = adam_step(carry.weights, gradients, carry.adam, count, rate, c)
        return Carry(weights, adam), losses

    def _train(
        self, carry: Carry, order: tf.Tensor, first: tf.Tensor, number: tf.Tensor
    ) -> tuple[Carry, tf.Tensor, tf.Tensor]:
        """Makes `number` gradient steps, the first of them with number `first`, from 0.

        Args:
          carry: the state before them.
          order: row numbers `[members, steps_per_call, batch_size]`, of which the first `number`
            steps count.
          first: int32 scalar.
          number: int32 scalar.

        Returns:
          The next state, the sum of the losses `[members]`, and whether they and the weights are
          finite, `[members]` bool.
        """

        def body(i, state):
            carry, total = state
            count = tf.cast(first + i + 1, tf.float32)
            carry, losses = self.step(carry, tf.gather(order, i, axis=1), count)
            return carry, total + losses

        begin = (carry, tf.zeros(order.shape[:1]))
        carry, total = repeat(number, body, begin, maximum=self.steps_per_call)
        finite = tf.math.is_finite(total)
        for w in carry.weights:
            finite &= tf.reduce_all(tf.math.is_finite(w), axis=list(range(1, w.shape.rank)))
        return carry, total, finite

    def _evaluate(self, weights: list[tf.Tensor]) -> tf.Tensor:
        """The head's metrics on the validation data, `[members, metrics]`.

        Members take turns, so that memory stays small and the numbers of one do not depend on how
        many there are.
        """
        validation = self.validation
        if validation is None:
            return tf.zeros([weights[0].shape[0], 0])
        parts, kinds = validation.action.shape[0], len(self.metric_names)

        def member(weights):
            def body(i, totals):
                rows = tf.nest.map_structure(lambda x: x[i], validation)
                found = self.loss.totals(weights, self.loss.columns(rows))
                return [a + b for a, b in zip(totals, found, strict=True)]

            totals = repeat(parts, body, [tf.zeros([]) for _ in range(kinds)])
            return tf.stack(totals) / tf.reduce_sum(validation.weight)

        return tf.map_fn(member, list(weights), fn_output_signature=tf.TensorSpec([kinds]))


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
