"""One of several actions."""

from __future__ import annotations

import tensorflow as tf

from tf_equirl._checks import positive_integer
from tf_equirl.distributions.distribution import Distribution
from tf_equirl.groups import Representation


class Categorical(Distribution):
    """One of `num_actions` actions, with softmax probabilities; parameters are their logits.

    Permuting the logits permutes the actions: `p(g a | g logits) = p(a | logits)`.

    Args:
        num_actions: How many actions there are.

    Raises:
        ValueError: If that is no positive integer.

    Example:
        >>> import tensorflow as tf
        >>> from tf_equirl.distributions import Categorical
        >>> Categorical(3).sample(tf.constant([0.0, 1.0, 0.0]), tf.constant([0.5])).numpy()
        np.int32(1)
    """

    num_uniforms = 1
    action_shape = ()
    action_dtype = tf.int32
    parameters = "one logit for each of the actions"
    outputs = "logits"

    def __init__(self, num_actions: int):
        self.num_parameters = positive_integer("num_actions", num_actions)

    @property
    def key(self) -> tuple[type, int]:
        """See `Distribution.key`."""
        return type(self), self.num_parameters

    def sample(self, parameters: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Actions `[...]` int32, by inverting the distribution function.

        That function may end a little below 1, by rounding. Numbers beyond its end go to the action
        with which it gets there, not to improbable ones behind that.

        Args:
            parameters: Logits `[..., num_actions]`.
            uniforms: `[..., 1]` in [0, 1).
        """
        reached = tf.cumsum(tf.nn.softmax(parameters), axis=-1)
        action = _count(reached[..., :-1] <= uniforms)
        return tf.minimum(action, _count(reached[..., :-1] < reached[..., -1:]))

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        """The most probable actions `[...]` int32, of equals the first."""
        return tf.argmax(parameters, axis=-1, output_type=tf.int32)

    def log_prob(self, parameters: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See `Distribution.log_prob`."""
        return tf.gather(tf.nn.log_softmax(parameters), action, batch_dims=action.shape.rank)

    def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
        """See `Distribution.entropy`."""
        logs = tf.nn.log_softmax(parameters)
        return -tf.reduce_sum(tf.exp(logs) * logs, axis=-1)

    def kl(self, parameters: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """See `Distribution.kl`."""
        logs = tf.nn.log_softmax(parameters)
        return tf.reduce_sum(tf.exp(logs) * (logs - tf.nn.log_softmax(others)), axis=-1)

    def representation(self, action: Representation) -> Representation:
        """`action` itself: logits are permuted as actions are."""
        return action


def _count(holds: tf.Tensor) -> tf.Tensor:
    """How many along the last axis are true."""
    return tf.reduce_sum(tf.cast(holds, tf.int32), axis=-1)
