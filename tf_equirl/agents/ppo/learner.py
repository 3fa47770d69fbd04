"""The compiled trainer: a whole population of PPO agents in one XLA program."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from tf_equirl.agents.ppo.advantages import generalized_advantages
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.tf_agents_ppo import make_ppo_agent
from tf_equirl.envs import Environment
from tf_equirl.models import fresh_weights
from tf_equirl.training.collect import ActingState, Transitions, by_member, collect, start_acting
from tf_equirl.training.loops import repeat
from tf_equirl.training.optimizer import AdamState, adam_step, initial_adam_state, member_norm
from tf_equirl.training.randomness import Purpose, member_uniforms


class Carry(NamedTuple):
    """All that a run needs to go on: tensors with a leading `[members]` axis."""

    seeds: tf.Tensor
    weights: list[tf.Tensor]
    adam: AdamState
    acting: ActingState


class Batch(NamedTuple):
    """Training data, `[members, transitions, ...]`."""

    observation: tf.Tensor
    action: tf.Tensor
    log_prob: tf.Tensor
    returns: tf.Tensor
    advantage: tf.Tensor
    value: tf.Tensor


class Metrics(NamedTuple):
    """What an update reports; `[members]` each unless said otherwise."""

    policy_loss: tf.Tensor
    value_loss: tf.Tensor
    entropy: tf.Tensor
    clip_fraction: tf.Tensor
    gradient_norm: tf.Tensor  # before clipping; the mean over the update's gradient steps
    finite: tf.Tensor  # bool: losses, gradients and weights
    returns: tf.Tensor  # [rollout_steps, members]: last finished return, mean over environments
    first_returns: tf.Tensor  # [rollout_steps, members]: of the first environment alone


LOSSES = Metrics._fields[:5]


class PopulationProgram:
    """PPO for many members at once, as one `tf.function(jit_compile=True)`.

    Weights are stacked on a leading population axis. `tf.vectorized_map` takes the gradient of
    tf-agents' own loss for each member, with the member's weights bound to the Keras models.
    Rollout, advantages, shuffling, epochs, gradient clipping and Adam are part of the same program.
    A member's numbers depend on its own seed and on nothing of the other members.

    The program is compiled once per instance: seeds, states and the number of updates are all
    inputs of it.

    Args:
      env: the environment.
      config: hyperparameters.
      actor: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.
      critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`.
      max_updates: the most updates that one call of `run` makes.

    Raises:
      ValueError: if a model does not fit the environment.
    """

    def __init__(
        self,
        env: Environment,
        config: PPOConfig,
        actor: keras.Model,
        critic: keras.Model,
        max_updates: int = 32,
    ):
        """See the class."""
        self._agent = make_ppo_agent(env, config, actor, critic)  # checks the models
        self.env = env
        self.config = config
        self.actor = actor
        self.critic = critic
        self.max_updates = max_updates
        self._variables = [*actor.trainable_variables, *critic.trainable_variables]
        self.run = tf.function(self._run, jit_compile=True, autograph=False)

    def start(self, seeds: list[int], fresh: bool = True) -> Carry:
        """The state before the first update: weights and episodes, both from the seeds.

        Args:
          seeds: one for each member.
          fresh: whether members start from weights of their own; otherwise all of them start from
            those that the models have.
        """
        if fresh:
            members = [fresh_weights([self.actor, self.critic], seed) for seed in seeds]
        else:
            members = [[v.numpy() for v in self._variables]] * len(seeds)
        weights = [tf.constant(np.stack(same)) for same in zip(*members, strict=True)]
        keys = tf.constant(seeds, tf.int32)
        shape = [self.config.num_environments, self.env.num_uniforms]
        uniforms = member_uniforms(keys, Purpose.RESETS, 0, shape)
        acting = start_acting(self.env, uniforms)
        return Carry(keys, weights, initial_adam_state(weights), acting)

    def update(self, carry: Carry, index: tf.Tensor) -> tuple[Carry, Metrics]:
        """One PPO update of every member: act, then train on what was seen.

        Args:
          carry: the state before it.
          index: int32 scalar, the number of the update, from 0.
        """
        acting, transitions = self.collect(carry, index)
        return self.learn(carry, acting, transitions, index, self.learning_rate(index), index)

    def learn(
        self,
        carry: Carry,
        acting: ActingState,
        transitions: Transitions,
        index: tf.Tensor,
        rate: tf.Tensor,
        made: tf.Tensor,
    ) -> tuple[Carry, Metrics]:
        """The update that follows a rollout, whatever it was collected in.

        Args:
          carry: the state before the rollout.
          acting: the acting state after it.
          transitions: the rollout.
          index: int32 scalar that keys the random numbers.
          rate: Adam's step size.
          made: int32 scalar or `[members]`, updates made before.
        """
        batch = self.batch(carry.weights, transitions)
        weights, adam, losses = self.train(carry, batch, index, rate, made)
        finite = tf.reduce_all(tf.stack([tf.math.is_finite(x) for x in losses]), axis=0)
        for w in weights:
            finite &= tf.reduce_all(tf.math.is_finite(w), axis=list(range(1, w.shape.rank)))
        last_return = transitions.last_return
        returns = [tf.reduce_mean(last_return, -1), last_return[..., 0]]
        metrics = Metrics._make([*losses, finite, *returns])
        return Carry(carry.seeds, weights, adam, acting), metrics

    def learning_rate(self, index: tf.Tensor) -> tf.Tensor:
        """Adam's step size in update `index`, a float scalar."""
        rate = self.config.learning_rate * tf.ones([])
        if self.config.anneal_learning_rate:
            rate = rate * (1.0 - tf.cast(index, tf.float32) / self.config.num_updates)
        return rate

    def collect(
        self,
        carry: Carry,
        index: tf.Tensor,
        env: Environment | None = None,
        with_states: bool = False,
    ) -> tuple[ActingState, Transitions]:
        """The rollout of update `index`: `[steps, members, envs, ...]`.

        Args:
          carry: where to start.
          index: int32 scalar that keys the random numbers.
          env: what to act in instead of `self.env`, such as a model of it.
          with_states: see `rollout.collect`.
        """
        env = self.env if env is None else env
        c = self.config
        shape = [c.rollout_steps, c.num_environments, 1 + env.num_uniforms]
        uniforms = member_uniforms(carry.seeds, Purpose.ROLLOUT, index, shape)

        def policy(observation):
            return self.outputs(self.actor, carry.weights, observation)

        steps_first = tf.transpose(uniforms, [1, 0, 2, 3])
        return collect(env, policy, carry.acting, steps_first, with_states)

    def batch(self, weights: list[tf.Tensor], rollout: Transitions) -> Batch:
        """Training data of a rollout, `[members, envs * steps, ...]`."""
        c = self.config

        def values(observation):  # -> [steps, members, envs]
            flat = self.outputs(self.critic, weights, by_member(observation))[..., 0]
            return tf.transpose(
                tf.reshape(flat, [-1, c.rollout_steps, c.num_environments]), [1, 0, 2]
            )

        value = values(rollout.observation)
        advantage = generalized_advantages(
            rollout.reward,
            value,
            values(rollout.next_observation),
            rollout.terminated,
            rollout.truncated,
            c.discount,
            c.gae_lambda,
        )
        columns = Batch(
            rollout.observation,
            rollout.action,
            rollout.log_prob,
            advantage + value,
            advantage,
            value,
        )
        return Batch(*[by_member(x) for x in columns])

    def train(
        self, carry: Carry, batch: Batch, index: tf.Tensor, rate: tf.Tensor, made: tf.Tensor
    ) -> tuple[list[tf.Tensor], AdamState, list[tf.Tensor]]:
        """All epochs and minibatches of update `index`; see `learn` for the arguments.

        Returns:
          The new weights and Adam moments, and the mean losses (the first five `Metrics`).
        """
        c = self.config
        members = carry.seeds.shape[0]
        steps = c.num_epochs * c.num_minibatches
        order = self.shuffled(carry.seeds, index)

        def minibatch(i, state):
            weights, adam, totals = state
            rows = tf.gather(order, i, axis=1)
            part = Batch(*[tf.gather(x, rows, batch_dims=1) for x in batch])
            advantage = part.advantage - tf.reduce_mean(part.advantage, 1, keepdims=True)
            deviation = tf.math.reduce_std(part.advantage, 1, keepdims=True)
            part = part._replace(advantage=advantage / (deviation + 1e-8))
            gradients, losses = self.gradients(weights, part)
            losses = [*losses, member_norm(gradients)]
            count = tf.cast(made * steps + i + 1, tf.float32)
            weights, adam = adam_step(weights, gradients, adam, count, rate, c)
            return weights, adam, [a + b / steps for a, b in zip(totals, losses, strict=True)]

        zeros = [tf.zeros([members]) for _ in LOSSES]
        return repeat(steps, minibatch, (list(carry.weights), carry.adam, zeros))

    def shuffled(self, seeds: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Row numbers of every gradient step: `[members, epochs * minibatches, rows]`."""
        c = self.config
        shape = [c.num_epochs, c.batch_size]
        keys = member_uniforms(seeds, Purpose.SHUFFLE, index, shape)
        order = tf.argsort(keys, axis=-1)
        return tf.reshape(order, [-1, c.num_epochs * c.num_minibatches, _rows(c)])

    def gradients(
        self, weights: list[tf.Tensor], batch: Batch
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Gradient of tf-agents' PPO loss for every member.

        Args:
          weights: stacked weights.
          batch: `[members, rows, ...]`, advantages normalised.

        Returns:
          Gradients of the shapes of `weights`; policy loss, value loss, entropy and clip fraction,
          `[members]` each.
        """

        def member(inputs):
            weights, batch = inputs
            # Inside the mapped function: with the tape outside it, XLA takes every input for a
            # compile-time constant and compiles anew at each call.
            with tf.GradientTape() as tape:
                tape.watch(weights)
                info = self.loss(weights, batch)
            extra = info.extra
            entropy = -extra.entropy_regularization_loss
            if self.config.entropy_coefficient:
                entropy = entropy / self.config.entropy_coefficient
            value_loss = extra.value_estimation_loss
            if self.config.value_coefficient:
                value_loss = value_loss / self.config.value_coefficient
            losses = [extra.policy_gradient_loss, value_loss, entropy, extra.clip_fraction]
            return tape.gradient(info.loss, weights), losses

        return tf.vectorized_map(member, (list(weights), batch), fallback_to_while_loop=False)

    def loss(self, weights: list[tf.Tensor], batch: Batch) -> Any:
        """tf-agents' `LossInfo` for one member's weights and rows (no population axis)."""
        rows = batch.observation.shape[0]
        time_steps = ts.TimeStep(
            step_type=tf.fill([rows], ts.StepType.MID),
            reward=tf.zeros([rows]),
            discount=tf.ones([rows]),
            observation=batch.observation,
        )
        # The summaries inside tf-agents' loss would write from within the compiled program.
        with self._bound(weights), tf.summary.record_if(False):
            return self._agent.get_loss(
                time_steps,
                batch.action,
                batch.log_prob,
                batch.returns,
                batch.advantage,
                (),
                tf.ones([rows]),
                self._agent.train_step_counter,
                False,
                old_value_predictions=batch.value,
                training=True,
            )

    def _run(self, carry: Carry, first: tf.Tensor, number: tf.Tensor) -> tuple[Carry, Metrics]:
        """Makes `number` updates (at most `max_updates`), the first of them with number `first`.

        The metrics have a leading axis `[max_updates]`, of which the first `number` rows count.
        """

        def body(i, state):
            carry, arrays = state
            carry, metrics = self.update(carry, first + i)
            return carry, self.write(arrays, i, metrics)

        arrays = self.arrays(carry.seeds.shape[0])
        carry, arrays = repeat(number, body, (carry, arrays), maximum=self.max_updates)
        return carry, Metrics(*[a.stack() for a in arrays])

    def arrays(self, members: int) -> Metrics:
        """What the metrics of up to `max_updates` updates are written to."""

        def array(dtype: tf.DType, *leading: int) -> tf.TensorArray:
            return tf.TensorArray(dtype, self.max_updates, element_shape=[*leading, members])

        steps = self.config.rollout_steps
        return Metrics(
            **{name: array(tf.float32) for name in LOSSES},
            finite=array(tf.bool),
            returns=array(tf.float32, steps),
            first_returns=array(tf.float32, steps),
        )

    def write(self, arrays: Metrics, i: tf.Tensor, metrics: Metrics) -> Metrics:
        """`arrays` with the metrics of the `i`-th update."""
        return Metrics(*[a.write(i, x) for a, x in zip(arrays, metrics, strict=True)])

    def outputs(self, model: keras.Model, weights: list[tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
        """Outputs of `model` for every member: `[members, rows, ...] -> [members, rows, k]`."""

        def member(args):
            weights, inputs = args
            with self._bound(weights):
                return model(inputs)

        return tf.vectorized_map(member, (list(weights), inputs), fallback_to_while_loop=False)

    def _bound(self, weights: list[tf.Tensor]) -> keras.StatelessScope:
        """Within it the Keras models compute with one member's weights."""
        pairs = zip(self._variables, weights, strict=True)
        return keras.StatelessScope(state_mapping=list(pairs))


def _rows(config: PPOConfig) -> int:
    return config.batch_size // config.num_minibatches
