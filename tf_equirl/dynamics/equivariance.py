"""How far transition models are from equivariant, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SAMPLE, instance, number, positive_integer, random_seed
from tf_equirl.dynamics.datasets import all_transitions, collect_transitions
from tf_equirl.dynamics.model_loss import model_inputs, predict
from tf_equirl.dynamics.transitions import Transitions, check_transitions
from tf_equirl.envs import Environment
from tf_equirl.models.heads import CategoricalHead
from tf_equirl.training.population import for_each_member


@dataclass(frozen=True, eq=False)
class TransitionEquivariance:
    """Which predictions of which members commute with the group.

    Errors are in the scale of the member's outputs: with |.| the root mean square over the
    coordinates, the error of a pair (s, a) under g is

        |T(g s, g a) - g T(s, a)| / sqrt(mean of |T|^2 over the pairs)

    which is absolute where all outputs are 0.

    Attributes:
        tolerance: The error up to which a prediction counts as commuting.
        commutes: [members, pairs] bool: whether the error is within the tolerance for *every* g.
        modes_commute: The same of the sets of most likely categories, for a `CategoricalHead`; None
            for another. Categories tie when their logits differ by less than the tolerance, in the
            scale above. Sets, because the distribution predicted for a pair that the group leaves
            fixed is symmetric and may well have two most likely categories, of which no choice
            commutes. Two sets are equal when each lies in the other one taken with twice the
            tolerance, so that rounding does not decide about a member of the set.
        first_modes_commute: The same of `head.prediction`, the first of the most likely categories
            as `argmax` finds it, without any tolerance: what the thesis counts.
        element_max: [members, n], for each group element the largest error of a pair.
        element_mean: [members, n], the mean error of the pairs.
    """

    tolerance: float
    commutes: NDArray[np.bool_]
    modes_commute: NDArray[np.bool_] | None
    first_modes_commute: NDArray[np.bool_] | None
    element_max: NDArray[np.floating]
    element_mean: NDArray[np.floating]

    @property
    def share(self) -> NDArray[np.floating]:
        """[members] share of the pairs whose prediction commutes."""
        return self.commutes.mean(axis=1)

    @property
    def mode_share(self) -> NDArray[np.floating] | None:
        """[members] share of the pairs whose sets of most likely categories commute."""
        return None if self.modes_commute is None else self.modes_commute.mean(axis=1)

    @property
    def first_mode_share(self) -> NDArray[np.floating] | None:
        """[members] share of the pairs whose first most likely categories commute."""
        return None if self.first_modes_commute is None else self.first_modes_commute.mean(axis=1)

    @property
    def error_max(self) -> NDArray[np.floating]:
        """[members] largest error of a pair under any element; NaN if one is."""
        return self.element_max.max(axis=1)

    @property
    def error_mean(self) -> NDArray[np.floating]:
        """[members] mean error over the pairs and the elements other than the identity."""
        others = self.element_mean[:, 1:] if self.element_mean.shape[1] > 1 else self.element_mean
        return others.mean(axis=1)


def sample_pairs(env: Environment, num_pairs: int = 10_000, seed: int = 0) -> Transitions:
    """State-action pairs to measure equivariance on, with their true next states.

    They are all pairs of an environment that lists its states (Catch: 675, whatever `num_pairs`),
    and otherwise those that uniformly random actions lead to from the environment's own first
    states, so that they need not be told where its states lie.

    Args:
        env: The environment.
        num_pairs: How many, where they are sampled, at most 10^8.
        seed: An integer in [0, 2^31).

    Raises:
        ValueError: If an argument is not one of those.
    """
    instance("env", env, Environment, "an Environment")
    num_pairs, seed = positive_integer("num_pairs", num_pairs, LARGEST_SAMPLE), random_seed(seed)
    try:
        env.all_states()
    except ValueError:
        return collect_transitions(env, "random", num_pairs, seed)
    return all_transitions(env)


def transition_equivariance(
    env: Environment,
    model: keras.Model,
    weights: Sequence[NDArray[np.floating]] | None,
    pairs: Transitions,
    tolerance: float = 1e-4,
) -> TransitionEquivariance:
    """Measures the violation of `T(rho_S(g) s, rho_A(g) a) = rho(g) T(s, a)` for every g.

    The errors of exactly equivariant models are those of float32 arithmetic, about 1e-7, and the
    default tolerance stands well above them and well below those of other models. Pooling with a
    hard selection amplifies rounding where two candidates are nearly as close as each other: such a
    pair may exceed the tolerance in float32, and does not in a model of float64.

    Args:
        env: The environment.
        model: A transition model of it.
        weights: Weights of many members, an array [members, ...] for each trainable variable, such
            as `result.weights["transition_model"]` or `initial_weights`; None for its own.
        pairs: States and actions, such as `sample_pairs`. Their next states are not used.
        tolerance: See `TransitionEquivariance`; positive.

    Raises:
        ValueError: If the tolerance is not positive, the pairs are not of this environment, or the
            model or the weights do not fit.
    """
    tolerance = number("tolerance", tolerance)
    check_transitions("pairs", pairs, env)
    instance("model", model, keras.Model, "a Keras model")
    head, symmetry = env.transition_head, env.symmetry
    matrices = head.representation.matrices

    def measure(data: Any) -> dict[str, tf.Tensor]:
        observation, action = model_inputs(env, *data)
        outputs = predict(env, model, observation, action)
        scale = tf.sqrt(tf.reduce_mean(tf.square(outputs)))
        scale = tf.where(scale > 0, scale, tf.ones_like(scale))
        margin = tf.cast(tolerance, outputs.dtype) * scale
        zeros = tf.zeros_like(outputs[:, 0])
        errors = [zeros]  # of the identity
        modes = first_modes = tf.ones_like(zeros, tf.bool)
        for element in symmetry.group.elements[1:]:
            received = predict(
                env,
                model,
                _turned(observation, symmetry.state.matrices[element]),
                _turned(action, symmetry.action.matrices[element]),
            )
            expected = _turned(outputs, matrices[element])
            errors.append(tf.sqrt(tf.reduce_mean(tf.square(received - expected), -1)) / scale)
            if isinstance(head, CategoricalHead):
                modes &= _same_modes(head, received, expected, margin)
                first = _turned(head.prediction(outputs), matrices[element])
                first_modes &= tf.reduce_all(head.prediction(received) == first, axis=-1)
        by_element = tf.stack(errors)
        measured = {
            "commutes": tf.reduce_all(by_element <= tolerance, axis=0),
            "element_max": tf.reduce_max(by_element, axis=-1),
            "element_mean": tf.reduce_mean(by_element, axis=-1),
        }
        if isinstance(head, CategoricalHead):
            measured |= {"modes_commute": modes, "first_modes_commute": first_modes}
        return measured

    measured = for_each_member(model, weights, measure, (pairs.state, pairs.action))
    none = {"modes_commute": None, "first_modes_commute": None}
    return TransitionEquivariance(tolerance, **{**none, **measured})


def image_correlation(
    env: Environment,
    model: keras.Model,
    weights: Sequence[NDArray[np.floating]],
    pairs: Transitions,
) -> NDArray[np.floating]:
    """Correlation between transition images over initialisations, as in the thesis' figure 4.5.

    Pooling chooses among the images; what it has to choose from is varied when they are not
    correlated.

    Args:
        env: The environment.
        model: A transition model with images: of kind "gcnn-proximal" or "gcnn-averaged".
        weights: Weights of many initialisations, see `initial_weights`.
        pairs: States and actions, a few: all images of all members are kept at once.

    Returns:
        [pairs, n, d]: for each output coordinate Pearson's r, over the members, between the image
        of the identity and that of each element. NaN where one does not vary.

    Raises:
        ValueError: If the model has no layer "images", there are fewer than two members, or the
            arguments do not fit each other.
    """
    check_transitions("pairs", pairs, env)
    if "images" not in [layer.name for layer in model.layers]:
        raise ValueError(
            "`model` must have transition images, as those of kind 'gcnn-proximal' and "
            f"'gcnn-averaged'. Received: model={model.name!r} without a layer named 'images'"
        )
    imaging = keras.Model(model.inputs, model.get_layer("images").output)

    def images(data: Any) -> dict[str, tf.Tensor]:
        observation, action = model_inputs(env, *data)
        observation = tf.reshape(observation, [-1, *env.observation_shape])
        return {"images": imaging([observation, action])}

    found = for_each_member(imaging, weights, images, (pairs.state, pairs.action))["images"]
    if len(found) < 2:
        raise ValueError(
            f"`weights` must be of at least two members. Received: {len(found)} of them"
        )
    deviation = found.astype(np.float64) - found.mean(axis=0, dtype=np.float64)
    product = (deviation * deviation[:, :, :1]).sum(axis=0)
    square = np.square(deviation).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return product / np.sqrt(square * square[:, :1])


def _turned(vectors: tf.Tensor, matrix: NDArray[np.float64]) -> tf.Tensor:
    """`matrix` applied to each row of `vectors`."""
    return tf.matmul(vectors, tf.constant(matrix.T, vectors.dtype))


def _same_modes(
    head: CategoricalHead, received: tf.Tensor, expected: tf.Tensor, margin: tf.Tensor
) -> tf.Tensor:
    """Whether each one's most likely categories are among those of the other, of every factor."""
    same = tf.constant(True)
    for a, b in zip(head.split(received), head.split(expected), strict=True):
        behind_a = tf.reduce_max(a, axis=-1, keepdims=True) - a
        behind_b = tf.reduce_max(b, axis=-1, keepdims=True) - b
        within = (behind_a > margin) | (behind_b <= 2 * margin)
        within &= (behind_b > margin) | (behind_a <= 2 * margin)
        same &= tf.reduce_all(within, axis=-1)
    return same
