"""Keras 3 models as tf-agents networks."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from tf_equirl.agents.ppo.door import network, tfp, utils
from tf_equirl.distributions import Distribution

HEADS: dict[str, Callable] = {
    "categorical": lambda outputs: tfp.distributions.Categorical(logits=outputs),
    "value": lambda outputs: tf.squeeze(outputs, -1),
}


class KerasNetwork(network.Network):
    """Lets tf-agents see a Keras 3 model as one of its networks.

    A tf-agents network is a Keras 2 layer, which does not track the variables of a Keras 3 model;
    this adapter passes them on as the `tf.Variable`s they are, so that tf-agents' agents,
    optimisers and checkpoints find them.

    Args:
        model: A Keras 3 model from observations `[batch, ...]` to `[batch, outputs]`.
        input_tensor_spec: tf-agents' spec of one observation.
        head: `"categorical"` makes the outputs the logits of a categorical distribution over
            actions; `"value"` squeezes a single output to `[batch]`; a `Distribution` takes them
            for its parameters.
        name: The network's name.

    Raises:
        ValueError: If `head` is unknown.
    """

    def __init__(self, model, input_tensor_spec, head="categorical", name=None):
        kind = "policy" if isinstance(head, Distribution) else head
        if kind != "policy" and head not in HEADS:
            raise ValueError(
                f"head must be a Distribution or one of {', '.join(HEADS)}. Received: head={head!r}"
            )
        super().__init__(
            input_tensor_spec=input_tensor_spec, state_spec=(), name=name or f"{kind}_network"
        )
        made = _policy(head) if kind == "policy" else HEADS[head]
        # In a tuple: Keras 2 would otherwise try to track the Keras 3 model as one of its layers.
        self._wrapped = (model, made)

    @property
    def model(self) -> keras.Model:
        """The Keras 3 model."""
        return self._wrapped[0]

    def call(self, observation, step_type=None, network_state=(), training=False):
        """Applies the model to `[batch, ...]` or `[batch, time, ...]` observations.

        `step_type` is ignored and `network_state` passed through.
        """
        return self._apply(observation, training), network_state

    # Autograph cannot convert Keras 3 and would warn at every trace. It stands on this method, as
    # Keras 2 reads the signature of `call` itself.
    @tf.autograph.experimental.do_not_convert
    def _apply(self, observation, training):
        model, head = self._wrapped
        # tf-agents trains on [batch, time, ...]; Keras models take one batch axis.
        squash = utils.BatchSquash(observation.shape.rank - self.input_tensor_spec.shape.rank)
        outputs = model(squash.flatten(observation), training=training)
        return head(squash.unflatten(outputs))

    @property
    def variables(self) -> list[tf.Variable]:
        """All of the model's variables."""
        return [v.value for v in self.model.variables]

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """The model's trainable variables."""
        return [v.value for v in self.model.trainable_variables]

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:
        """The model's other variables."""
        return [v.value for v in self.model.non_trainable_variables]

    weights = variables
    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables


def _policy(ours: Distribution) -> Callable[[tf.Tensor], tfp.distributions.Distribution]:
    """A distribution of ours, of given parameters, as TensorFlow Probability sees one."""

    class Policy(tfp.distributions.Distribution):
        """With the outputs of a network as its one parameter, since tf-agents makes it anew."""

        def __init__(self, outputs, name="Policy"):
            self._outputs = outputs
            super().__init__(
                dtype=ours.action_dtype,
                reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
                validate_args=False,
                allow_nan_stats=True,
                parameters={"outputs": outputs},
                name=name,
            )

        def _batch_shape(self):
            return self._outputs.shape[:-1]

        def _batch_shape_tensor(self):
            return tf.shape(self._outputs)[:-1]

        def _event_shape(self):
            return tf.TensorShape(ours.action_shape)

        def _event_shape_tensor(self):
            return tf.constant(ours.action_shape, tf.int32)

        def _sample_n(self, n, seed=None):
            shape = tf.concat([[n], self._batch_shape_tensor(), [ours.num_uniforms]], 0)
            seed = tfp.random.sanitize_seed(seed)
            return ours.sample(self._outputs, tf.random.stateless_uniform(shape, seed))

        def _mode(self):
            return ours.mode(self._outputs)

        def _log_prob(self, value):
            return ours.log_prob(self._outputs, value)

        def _entropy(self):
            return ours.entropy(self._outputs)

    return Policy
