"""What every distribution of actions can do."""

from __future__ import annotations

import abc
from collections.abc import Hashable

import tensorflow as tf

from tf_equirl.groups import Representation


class Distribution(abc.ABC):
    """A family of distributions of actions, whose parameters are the outputs of a policy network.

    Trainers, evaluation and planning ask it for everything that depends on what actions are. All
    functions take any leading dimensions.

    Attributes:
        num_parameters: Outputs that a policy network must have.
        num_uniforms: Numbers, uniform in [0, 1), that an action is drawn from.
        action_shape: Shape of one action.
        action_dtype: Its type.
        parameters: What they are, in words, such as "one logit for each of the actions".
        outputs: The same in a word or two, such as "logits".
    """

    num_parameters: int
    num_uniforms: int
    action_shape: tuple[int, ...]
    action_dtype: tf.DType
    parameters: str
    outputs: str

    @abc.abstractmethod
    def sample(self, parameters: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Actions `[..., *action_shape]` drawn from `uniforms` `[..., num_uniforms]`.

        Args:
            parameters: `[..., num_parameters]`.
            uniforms: Numbers in [0, 1); the same numbers give the same actions.
        """

    @abc.abstractmethod
    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        """The most probable actions, `[..., *action_shape]`."""

    @abc.abstractmethod
    def log_prob(self, parameters: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Logarithms of the actions' probabilities (or densities), `[...]`."""

    @abc.abstractmethod
    def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
        """Entropies in nats, `[...]`."""

    @abc.abstractmethod
    def kl(self, parameters: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """Kullback-Leibler divergences KL(parameters || others) in nats, `[...]`."""

    @abc.abstractmethod
    def representation(self, action: Representation) -> Representation:
        """How the group acts on the parameters where it acts on actions by `action`.

        A policy is equivariant when moving the observation moves its parameters by this.
        """

    @property
    @abc.abstractmethod
    def key(self) -> Hashable:
        """Equal for distributions that compute the same."""

    def executed(self, action: tf.Tensor) -> tf.Tensor:
        """What an environment is given for actions, of which probabilities are told: themselves."""
        return action

    def act(self, parameters: tf.Tensor, uniforms: tf.Tensor, greedy: bool) -> tf.Tensor:
        """`mode` where `greedy`, else `sample`."""
        return self.mode(parameters) if greedy else self.sample(parameters, uniforms)
