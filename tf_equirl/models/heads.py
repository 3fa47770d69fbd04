"""What a transition model predicts: the form of its output, its loss and its measures.

An environment declares one, `Environment.transition_head`, and turns its states into the vectors
that the head speaks of with `Environment.encode` and back with `Environment.decode`. The builders
of models and the trainer know nothing else of the environment.
"""

from __future__ import annotations

import abc
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance, refuse
from tf_equirl.groups import Representation
from tf_equirl.groups._checks import real_array
from tf_equirl.layers.pooling.distances import ModeDistance


class Head(abc.ABC):
    """Base class of the two forms of a transition model's output.

    A state is *encoded* as a vector of `representation.dim` numbers. The model's output has the
    same shape, and the group acts on both by `representation`:
    `model(rho_S(g) s, rho_A(g) a) = representation(g) model(s, a)` is what equivariance means.

    Attributes:
        representation: How the group acts on encodings and outputs.
        reading: [d_state, d] matrix with `encoding = observation @ reading` for flattened
            observations of states that are not terminal, or None where they are equal.
        metric_names: What `metrics` returns; the first one is the loss.
    """

    representation: Representation
    reading: NDArray[np.float32] | None = None
    metric_names: tuple[str, ...]

    @property
    @abc.abstractmethod
    def distance(self) -> str | Callable[[Any, Any], Any]:
        """The distance that `ProximalPooling` takes unless it is told another one."""

    @abc.abstractmethod
    def metrics(self, outputs: Any, target: Any) -> tuple[Any, ...]:
        """The loss and what else is measured of single predictions.

        Args:
            outputs: [..., d], of the model.
            target: [..., d], the encoding of the true next state.

        Returns:
            One [...] tensor for each of `metric_names`.
        """

    @abc.abstractmethod
    def prediction(self, outputs: Any) -> Any:
        """The encoding [..., d] of the next state that the outputs [..., d] stand for."""

    @abc.abstractmethod
    def disagreement(self, outputs: Any) -> Any:
        """How much the models of an ensemble differ about single predictions.

        Args:
            outputs: [models, ..., d].

        Returns:
            [...], at least 0.
        """


class RealHead(Head):
    """The next state itself, as real numbers.

    The loss is the squared error, mean over the coordinates.

    Args:
        representation: How the group acts on states.

    Raises:
        ValueError: If it is no representation.
    """

    metric_names = ("mean_square",)

    def __init__(self, representation: Representation) -> None:
        """Checks and keeps the representation."""
        self.representation = instance("representation", representation, Representation)

    @property
    def distance(self) -> str:
        """L1, as the thesis' text has it, where the group permutes coordinates up to sign; else L2.

        L2 is invariant under every orthogonal representation, L1 under those alone.
        """
        return "l2" if self.representation.signed_permutations is None else "l1"

    def metrics(self, outputs: Any, target: Any) -> tuple[Any]:
        """See `Head.metrics`."""
        return (ops.mean(ops.square(outputs - target), axis=-1),)

    def prediction(self, outputs: Any) -> Any:
        """The outputs themselves."""
        return outputs

    def disagreement(self, outputs: Any) -> Any:
        """The standard deviation over the models, root mean square over the coordinates."""
        return ops.sqrt(ops.mean(ops.var(outputs, axis=0), axis=-1))


class CategoricalHead(Head):
    """Independent categorical distributions, such as the cells of two things on a board.

    The encoding of a state is the concatenation of one-hot vectors, the output that of logits. The
    loss is the cross-entropy, summed over the factors; the accuracy counts a prediction as right
    when the most likely category of every factor is.

    Args:
        factors: Permutation representations, one for each factor: how the group moves its
            categories.
        coordinates: For each factor the positions [categories, k] of its categories, which
            `distance` compares.
        weights: Weight of each factor in the distance; equation 4.33 of the thesis has 1 and 0.13.
        reading: See `Head`.

    Raises:
        ValueError: If a factor is no permutation representation, or the arguments do not fit
            together.
    """

    metric_names = ("cross_entropy", "accuracy")

    def __init__(
        self,
        factors: Sequence[Representation],
        coordinates: Sequence[ArrayLike],
        weights: Sequence[float],
        reading: NDArray[np.float32] | None = None,
    ) -> None:
        """Checks and keeps the arguments."""
        rule = "permutation representations of one group, in a list"
        if not isinstance(factors, (list, tuple)):
            refuse("factors", rule, factors)
        factors = tuple(factors)
        for factor in factors:
            if (
                not isinstance(factor, Representation)
                or factor.permutations is None
                or factor.group != factors[0].group
            ):
                refuse("factors", rule, factors)
        if not factors:
            raise ValueError(f"`factors` must hold at least one. Received: factors={factors!r}")
        self.factors = factors
        self.representation = functools.reduce(operator.add, factors)
        self._distance = ModeDistance(coordinates, weights)
        if self._distance.sizes != self.sizes:
            raise ValueError(
                f"`coordinates` must hold as many positions as there are categories, {self.sizes}. "
                f"Received: coordinates of {self._distance.sizes}"
            )
        if reading is not None:
            columns = self.representation.dim
            matrix = real_array("reading", reading, ndim=2)
            if matrix.shape[1] != columns:
                raise ValueError(
                    f"`reading` must have {columns} columns. Received: a matrix of shape "
                    f"{matrix.shape}"
                )
        self.reading = reading

    @property
    def distance(self) -> ModeDistance:
        """Weighted L1 distance between the most likely positions."""
        return self._distance

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each factor."""
        return tuple(factor.dim for factor in self.factors)

    def split(self, vectors: Any) -> list[Any]:
        """The factors' parts [..., categories] of encodings or outputs [..., d]."""
        return self._distance.split(vectors)

    def metrics(self, outputs: Any, target: Any) -> tuple[Any, Any]:
        """See `Head.metrics`."""
        entropy, right = [], []
        for logits, truth in zip(self.split(outputs), self.split(target), strict=True):
            entropy.append(-ops.sum(truth * ops.log_softmax(logits, axis=-1), axis=-1))
            right.append(ops.equal(ops.argmax(logits, axis=-1), ops.argmax(truth, axis=-1)))
        accuracy = ops.cast(ops.all(ops.stack(right), axis=0), outputs.dtype)
        return sum(entropy), accuracy

    def prediction(self, outputs: Any) -> Any:
        """The most likely category of each factor, one-hot; the first of equals."""
        parts = [
            ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype=outputs.dtype)
            for logits in self.split(outputs)
        ]
        return ops.concatenate(parts, axis=-1)

    def disagreement(self, outputs: Any) -> Any:
        """The share of models that predict another state than their mean does, from 0 to 1."""
        mean = self.prediction(ops.mean(outputs, axis=0))
        differs = ops.any(ops.not_equal(self.prediction(outputs), mean[None]), axis=-1)
        return ops.mean(ops.cast(differs, outputs.dtype), axis=0)
