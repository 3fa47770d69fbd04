"""Bad values for the arguments of public constructors, and of the functions that users call first.

Each of `BAD` takes the place of each argument of each subject in turn. A trial ends well where the
call raises a `ValueError` whose rule names the argument, or where it accepts the value and the
argument's rule in the subject's `right` says that the value is a right one. Nothing else will do.

One value is past mending: Keras walks through the arguments of a layer before the layer sees them,
and never comes back from a list that holds itself.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import inspect
import itertools
import math
import operator
import re
import types
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import (
    agents,
    distributions,
    dyna,
    dynamics,
    envs,
    evaluation,
    experiments,
    exporting,
    groups,
    layers,
    models,
)
from tf_equirl.envs import trading
from tf_equirl.models import heads
from tf_equirl.training import OnPolicyConfig, search_space

OF_KERAS = re.compile(r"=<list in itself>\): RecursionError: .*flattening the tree")
"""The lines of trials that no layer can end well."""

MOST = 2**31 - 1
"""The largest integer that most arguments may be."""

LONGEST_MESSAGE = 2000
"""Characters; no message repeats a value of any length."""


class Rude:
    """Refuses to be shown, compared, or taken for true or false."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __bool__(self):
        raise RuntimeError("no truth")

    __hash__ = None


class Broken:
    """Whatever it is taken for, it fails."""

    def _fail(self, *arguments):
        raise RuntimeError("broken")

    __index__ = __float__ = __int__ = __array__ = __iter__ = __len__ = __getitem__ = _fail
    __hash__ = __str__ = __format__ = __contains__ = __lt__ = __ge__ = __call__ = _fail


def _in_itself():
    found: list[Any] = []
    found.append(found)
    return found


# Made anew for each trial: some are used up.
BAD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "-inf": lambda: -math.inf,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1.5": lambda: 1.5,
    "-0.5": lambda: -0.5,
    "2**40": lambda: 2**40,
    "2**63": lambda: 2**63,
    "10**400": lambda: 10**400,
    "10**5000": lambda: 10**5000,
    "2**31 - 1": lambda: 2**31 - 1,
    "2**31": lambda: 2**31,
    "1e308": lambda: 1e308,
    "5e-324": lambda: 5e-324,
    "1j": lambda: 1j,
    "Decimal nan": lambda: Decimal("nan"),
    "Fraction": lambda: Fraction(1, 3),
    "empty text": lambda: "",
    "text": lambda: "x",
    "number as text": lambda: "1",
    "long text": lambda: "x" * 10**6,
    "half a surrogate": lambda: "\ud800",
    "NUL": lambda: "\0",
    "bytes": lambda: b"x",
    "[]": lambda: [],
    "[None]": lambda: [None],
    "[2**40]": lambda: [2**40],
    "[nan]": lambda: [math.nan],
    "[True]": lambda: [True],
    "[text]": lambda: ["x"],
    "[rude]": lambda: [Rude()],
    "list in itself": _in_itself,
    "ragged list": lambda: [[1, 2], [3]],
    "long list": lambda: [-1] * 10**5,
    "()": lambda: (),
    "{}": lambda: {},
    "dict": lambda: {"x": 1},
    "dict of None": lambda: {None: None},
    "config of Keras": lambda: {"class_name": "Dense", "config": {"units": 1}},
    "set": lambda: {-1},
    "object": object,
    "rude object": Rude,
    "broken object": Broken,
    "Ellipsis": lambda: ...,
    "vector": lambda: np.array([1, 2]),
    "matrix": lambda: np.array([[1.0, math.nan]]),
    "array nan": lambda: np.array(math.nan),
    "array 1": lambda: np.array(1),
    "empty array": lambda: np.zeros((0, 2)),
    "array of text": lambda: np.array(["x"]),
    "array of objects": lambda: np.array([object()]),
    "np.float64": lambda: np.float64(-0.5),
    "np.int64": lambda: np.int64(2),
    "np.bool_": lambda: np.bool_(True),
    "tensor": lambda: tf.constant([1.0, 2.0]),
    "symbolic tensor": lambda: keras.Input((2,)),
    "function": lambda: lambda *arguments: None,
    "class": lambda: int,
    "module": lambda: types,
    "exception": lambda: ValueError("x"),
    "generator": lambda: (x for x in [-1]),
    "endless generator": lambda: itertools.count(),
    "endless range": lambda: range(2**40),
    "layer": lambda: keras.layers.Dense(1),
    "model": lambda: _other_model(),
}


class Subject(NamedTuple):
    """What is called.

    Attributes:
        call: A public constructor or function.
        valid: One valid set of arguments.
        right: By argument, which values it may accept.
        name: Of the subject, where `call` does not tell it.
    """

    call: Callable[..., Any]
    valid: dict[str, Any]
    right: dict[str, Callable[[Any], bool]] = {}
    name: str = ""


# Rules of right values: what a value must be to be accepted.


def integer(low=1, high=math.inf):
    """Whatever Python takes for an integer, NumPy's too, but True and False."""

    def right(value):
        if isinstance(value, (bool, np.bool_)):
            return False
        try:
            return low <= operator.index(value) <= high
        except TypeError:
            return False

    return right


def number(low=-math.inf, high=math.inf):
    """A finite real number in [low, high]."""

    def right(value):
        kinds = (int, float, Fraction, np.integer)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, kinds):
            return False
        return low <= value <= high and value not in (math.inf, -math.inf)

    return right


def flag(value):
    """True or False, also NumPy's."""
    return isinstance(value, (bool, np.bool_))


def never(value):
    """None of the values is right."""
    return False


def texts(value):
    """A list of strings."""
    return isinstance(value, list) and value != [] and all(isinstance(x, str) for x in value)


def real_vector(value):
    """Two finite numbers."""
    try:
        array = np.asarray(value)
    except Exception:
        return False
    return array.shape == (2,) and array.dtype.kind in "iuf" and bool(np.isfinite(array).all())


def callable_or_none(value):
    """A function, or nothing."""
    return value is None or callable(value)


def none(value):
    """The default."""
    return value is None


def text(value):
    """A name may be any string."""
    return isinstance(value, str)


def bound(value):
    """One number that is not NaN, which lies on the right side of the other bound."""
    return isinstance(value, (list, tuple, np.ndarray)) and np.shape(value) == (1,)


def a_function(value):
    """Keras takes any callable for an activation or a regularizer, layers too."""
    return callable(value) and not isinstance(value, type)


def keras_model(value):
    """Where only a call tells whether the model fits."""
    return isinstance(value, keras.Model)


def either(*rules):
    """One of several rules."""
    return lambda value: any(rule(value) for rule in rules)


def sequence_of(rule, lengths=range(1, 1000)):
    """A list, tuple or array."""

    def right(value):
        plain = isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1
        return plain and len(value) in lengths and all(map(rule, value))

    return right


def one_of(*names):
    """One of some names."""
    return lambda value: isinstance(value, str) and value in names


def _small_symmetry():
    group = groups.cyclic_group(2)
    regular = groups.regular_representation(group)
    return groups.Symmetry(group, state=regular, action=regular)


def _other_model():
    global _OTHER
    if _OTHER is None:
        _OTHER = keras.Sequential([keras.Input((7,)), keras.layers.Dense(1)])
    return _OTHER


_OTHER: Any = None

# Of every layer of Keras.
_OF_KERAS = {"name": None, "dtype": None, "trainable": True}
_KERAS = {
    "name": either(none, text),
    "dtype": either(none, lambda value: value is int),
    "trainable": flag,
}
# Of every linear layer.
_LINEAR = {
    "activation": either(none, a_function),
    "use_bias": flag,
    "kernel_initializer": a_function,
    "bias_initializer": either(none, a_function),
    "kernel_regularizer": either(none, a_function),
    "bias_regularizer": either(none, a_function),
    "activity_regularizer": either(none, a_function),
    "kernel_constraint": either(none, a_function),
    "bias_constraint": either(none, a_function),
    **_KERAS,
}
_OF_LINEAR = {
    "activation": None,
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
    **_OF_KERAS,
}
# Of every relaxed layer of a group of two elements.
_RELAXED = {
    "banks": integer(1, 2),
    "rate": number(5e-324),
    "spread_penalty": number(0),
    "spread_limit": either(none, number(5e-324)),
}
_OF_RELAXED = {"banks": 1, "rate": 1.0, "spread_penalty": 0.5, "spread_limit": 0.5}
_RELAXATION = {
    **_RELAXED,
    **{"prior_scale": number(0), "strict_decay": number(0), "free_decay": number(0)},
}
_OF_RELAXATION = {
    **{"side": "output", **_OF_RELAXED},
    **{"prior_scale": 0.5, "strict_decay": 0.5, "free_decay": 0.5},
}


def constructors() -> list[Subject]:
    """Constructors: groups, layers, models, heads, distributions, environments and configs."""
    group = groups.cyclic_group(2)
    rep = groups.regular_representation(group)
    symmetry = groups.Symmetry(group, state=rep, action=rep)
    of_task = {
        **{"breaking": "gain", "kappa": 0.5, "dtype": "float32"},
        **{"policy": "gaussian", "max_episode_steps": 1_000},
    }
    right_of_task = {"max_episode_steps": integer(1, 2**31 - 1), "kappa": number(0, 100)}

    def shape(value):
        return sequence_of(integer())(value) and np.prod(value) == 2

    initializer = {"kernel_initializer": a_function}
    widths = {
        "hidden_units": sequence_of(integer(1, 2**14)),
        "match_parameters": either(none, integer(1, 10**8)),
        "name": either(none, text),
        "observation_shape": either(none, shape),
    }
    of_model = {
        "hidden_units": (2,),
        "match_parameters": None,
        "name": "model",
        "observation_shape": None,
    }
    table = [[0, 1], [1, 0]]
    named = {"name": either(none, text)}
    found = [
        # groups
        Subject(
            groups.FiniteGroup,
            {"multiplication_table": table, "name": None, "permutations": None, "matrices": None},
            {**named, "permutations": none, "matrices": none},
        ),
        Subject(
            groups.FiniteGroup.from_permutations,
            {"generators": [[1, 0]], "name": None, "max_order": 10},
            {**named, "max_order": integer(1, 10_000)},
        ),
        Subject(
            groups.FiniteGroup.from_matrices,
            {"generators": [[[-1.0]]], "name": None, "max_order": 10},
            {**named, "max_order": integer(1, 10_000)},
        ),
        Subject(groups.FiniteGroup.from_config, {"config": group.get_config()}),
        Subject(groups.cyclic_group, {"n": 3}, {"n": integer(1, 10_000)}),
        Subject(groups.dihedral_group, {"n": 3}, {"n": integer(1, 5_000)}),
        Subject(groups.symmetric_group, {"n": 3}, {"n": integer(1, 7)}),
        Subject(groups.direct_product, {"a": group, "b": group}),
        Subject(
            groups.Representation,
            {"group": group, "matrices": [[[1.0]], [[-1.0]]], "name": None},
            named,
        ),
        Subject(
            groups.Representation.from_signed_permutations,
            {"group": group, "permutations": table, "signs": None, "name": None},
            {**named, "signs": none},
        ),
        Subject(
            groups.Representation.from_generators,
            {"group": group, "matrices": {1: [[-1.0]]}, "name": None},
            named,
        ),
        Subject(groups.Representation.from_config, {"config": rep.get_config()}),
        Subject(
            groups.Symmetry,
            {"group": group, "state": rep, "action": rep, "center": None},
            {"center": either(none, real_vector)},
        ),
        Subject(
            envs.reflection,
            {
                "names": ["x"],
                "actions": ["left", "right"],
                "flips": ["x"],
                "swaps": {"left": "right"},
                "center": None,
            },
            {
                "names": texts,
                "actions": texts,
                "flips": either(texts, lambda value: value in ([], ())),
                "swaps": either(none, lambda value: value == {}),
                "center": either(none, lambda value: value in ({}, {"x": 1})),
            },
        ),
        Subject(envs.dynamics_of, {"env": "CartPole", "restore": None}, {"restore": none}),
        Subject(groups.Symmetry.from_config, {"config": symmetry.get_config()}),
        Subject(
            groups.image_representation,
            {
                "group": group,
                "height": 2,
                "width": 3,
                "channels": 1,
                "turns": None,
                "flips": None,
            },
            {
                "height": integer(1, 10**5),
                "width": integer(1, 10**5),
                "channels": integer(1, 10**5),
                "turns": none,
                "flips": none,
            },
        ),
        Subject(
            groups.trivial_representation,
            {"group": group, "dim": 1},
            {"dim": integer(1, 2**24)},
        ),
        Subject(groups.regular_representation, {"group": group}),
        Subject(
            groups.permutation_representation,
            {"group": group, "permutations": table},
            {"permutations": none},
        ),
        Subject(
            groups.signed_permutation_representation,
            {"group": group, "permutations": table, "signs": [[1, 1], [1, 1]]},
        ),
        Subject(groups.deviation_representation, {"action": rep}),
        Subject(groups.intertwiner_dimension, {"inputs": rep, "outputs": rep}),
        Subject(groups.intertwiner_basis, {"inputs": rep, "outputs": rep}),
        Subject(
            groups.sampled_intertwiner_basis,
            {"inputs": rep, "outputs": rep, "num_samples": None, "seed": 0},
            {"num_samples": either(none, integer(2, 2**20)), "seed": integer(0)},
        ),
        Subject(groups.signed_pair_orbits, {"outputs": rep, "inputs": rep}),
        Subject(groups.real_irreps, {"group": group}),
        Subject(groups.fourier_basis, {"group": group}),
        # layers
        Subject(
            layers.LiftingDense,
            {"units": 2, "representation": rep, "algorithm": "auto", **_OF_LINEAR},
            {**_LINEAR, "units": integer(1, 2**20)},
        ),
        Subject(
            layers.GroupDense,
            {"units": 2, "group": group, "algorithm": "auto", **_OF_LINEAR},
            {**_LINEAR, "units": integer(1, 2**20)},
        ),
        Subject(
            layers.PermutationEquivariantDense,
            {"units": 2, "inputs": rep, "outputs": rep, **_OF_LINEAR},
            {**_LINEAR, "units": integer(1, 2**20)},
        ),
        Subject(
            layers.SymmetrizerDense,
            {"units": 2, "inputs": rep, "outputs": rep, "basis": "exact", "seed": 0, **_OF_LINEAR},
            {
                **_LINEAR,
                "units": integer(1, 2**20),
                "seed": integer(0),
                "kernel_initializer": either(none, a_function),
            },
        ),
        Subject(
            layers.EquivariantReadout,
            {"representation": rep, **{k: v for k, v in _OF_LINEAR.items() if k != "activation"}},
            _LINEAR,
        ),
        Subject(
            layers.RelaxedLiftingDense,
            {"units": 2, "representation": rep, **_OF_RELAXED, **_OF_LINEAR},
            {**_LINEAR, **_RELAXED, "units": integer(1, 2**20)},
        ),
        Subject(
            layers.RelaxedGroupDense,
            {"units": 2, "group": group, "side": "output", **_OF_RELAXED, **_OF_LINEAR},
            {**_LINEAR, **_RELAXED, "side": none, "units": integer(1, 2**20)},
        ),
        Subject(
            layers.RelaxedReadout,
            {
                "representation": rep,
                **_OF_RELAXED,
                **{k: v for k, v in _OF_LINEAR.items() if k != "activation"},
            },
            {**_LINEAR, **_RELAXED},
        ),
        Subject(
            layers.ResidualPathway,
            {
                "layer": layers.GroupDense(2, group),
                **{"prior_scale": 0.5, "free_regularizer": None, **_OF_KERAS},
            },
            {"prior_scale": number(0), "free_regularizer": either(none, a_function), **_KERAS},
        ),
        Subject(layers.GroupPooling, {"mode": "mean", **_OF_KERAS}, _KERAS),
        Subject(layers.GroupAveraging, {**_OF_KERAS}, _KERAS),
        Subject(layers.TransitionImages, {"representation": rep, **_OF_KERAS}, _KERAS),
        Subject(layers.InputNormalization, {"representation": rep, **_OF_KERAS}, _KERAS),
        Subject(
            layers.InvariantVector,
            {"representation": rep, "value": 0.5, **_OF_KERAS},
            {"value": number(), **_KERAS},
        ),
        Subject(
            layers.ProximalPooling,
            {
                "distance": "l1",
                "selection": "hard",
                "representation": rep,
                "temperature": 1.0,
                "average_ties": True,
                "tie": 0.02,
                "allow_noninvariant": False,
                **_OF_KERAS,
            },
            {
                **_KERAS,
                "distance": a_function,
                "temperature": number(5e-324),
                "average_ties": flag,
                "tie": number(5e-324),
                "allow_noninvariant": flag,
            },
        ),
        Subject(
            layers.ModeDistance,
            {"coordinates": [[[0.0], [1.0]]], "weights": [1.0]},
            {"weights": sequence_of(number(0), range(1, 2))},
        ),
        # models
        Subject(
            models.actor,
            {
                **{"symmetry": symmetry, "kind": "gcnn", "kernel_initializer": None, **of_model},
                **{"activation": None, "standard_deviation": None, "normalize": False},
                **{"convolutions": None, "relaxation": None},
            },
            {
                **widths,
                "kernel_initializer": either(none, a_function),
                **{"activation": none, "standard_deviation": none, "normalize": flag},
                **{"convolutions": none, "relaxation": none},
            },
        ),
        Subject(
            models.q_function,
            {
                **{"symmetry": symmetry, "kind": "gcnn", "kernel_initializer": None, **of_model},
                **{"activation": None, "normalize": False, "convolutions": None},
                "relaxation": None,
                "continuous": False,
            },
            {
                **widths,
                "kernel_initializer": either(none, a_function),
                **{"activation": none, "normalize": flag, "convolutions": none},
                "relaxation": none,
                "continuous": flag,
            },
        ),
        Subject(
            models.averaged,
            {
                "actor": models.actor(symmetry, "mlp", (2,)),
                "symmetry": symmetry,
                "continuous": False,
                "name": None,
            },
            {**named, "continuous": flag},
        ),
        Subject(
            models.critic,
            {
                **{"symmetry": symmetry, "kind": "mlp", "kernel_initializer": "zeros", **of_model},
                **{"activation": None, "normalize": False, "convolutions": None},
                "relaxation": None,
            },
            {**widths, **initializer, **{"activation": none, "normalize": flag}}
            | {"convolutions": none, "relaxation": none},
        ),
        Subject(
            models.transition_model,
            {
                "symmetry": symmetry,
                "kind": "gcnn-readout",
                "kernel_initializer": "zeros",
                **of_model,
                "head": None,
                "predict_change": False,
                "distance": None,
                "selection": "hard",
                "temperature": 1.0,
                "average_ties": True,
                **{"convolutions": None, "relaxation": None},
            },
            {
                **widths,
                **initializer,
                **{"convolutions": none, "relaxation": none},
                "head": none,
                "predict_change": flag,
                "distance": either(none, a_function),
                "temperature": number(5e-324),
                "average_ties": flag,
            },
        ),
        Subject(heads.RealHead, {"representation": rep}),
        Subject(
            heads.CategoricalHead,
            {
                "factors": [rep],
                "coordinates": [[[0.0], [1.0]]],
                "weights": [1.0],
                "reading": None,
            },
            {"weights": sequence_of(number(0), range(1, 2)), "reading": none},
        ),
        Subject(distributions.Categorical, {"num_actions": 2}, {"num_actions": integer(1, 2**31)}),
        Subject(
            distributions.Gaussian,
            {"low": [-1.0], "high": [1.0], "action": None},
            {"low": bound, "high": bound, "action": none},
        ),
        Subject(
            distributions.SquashedGaussian,
            {"low": [-1.0], "high": [1.0], "action": None},
            {"low": bound, "high": bound, "action": none},
        ),
        # environments
        Subject(
            envs.HostEnvironment,
            {
                **{"env": "CartPole-v1", "symmetry": None, "vectorization": "sync"},
                **{"policy": "gaussian", "max_episode_steps": None, "name": None},
            },
            {
                **{"symmetry": none, "vectorization": callable, "name": either(none, text)},
                "max_episode_steps": either(none, integer(1, 2**31 - 1)),
            },
        ),
        Subject(
            envs.CartPole,
            {"dtype": "float32", "max_episode_steps": 500, "breaking": "gain", "kappa": 0.5},
            {"max_episode_steps": integer(1, 2**31 - 1), "kappa": number(0, 100)},
        ),
        *(
            Subject(task, of_task, right_of_task)
            for task in (envs.Acrobot, envs.CartPoleSwingup, envs.Reacher)
        ),
        Subject(
            envs.NoisyObservations,
            {"env": envs.make("Acrobot"), "deviation": 0.1},
            {"deviation": number(0, 1e30)},
        ),
        Subject(
            envs.Pixels,
            {
                **{"task": "CartPoleSwingup", "size": 9, "frames": 2, "action_repeat": 2},
                **{"breaking": "gain", "kappa": 0.5, "policy": "gaussian"},
                "max_episode_steps": None,
            },
            {
                **{"size": integer(8, 512), "frames": integer(1, 16)},
                **{"action_repeat": integer(1, 100), "kappa": number(0, 100)},
                "max_episode_steps": either(none, integer(1, 2**31 - 1)),
            },
        ),
        Subject(
            envs.Catch,
            {
                **{"rows": 10, "columns": 5, "observation": "flat"},
                **{"breaking": "gain", "kappa": 0.5},
            },
            {"rows": integer(2, 1000), "kappa": number(0, 1)},
        ),
        Subject(envs.make, {"environment": "CartPole"}),
        Subject(envs.check_environment, {"env": envs.make("CartPole")}),
        Subject(envs.declared_symmetry, {"env": "CartPole-v1"}, {"env": text}),
        Subject(
            exporting.to_plain,
            {"model": models.actor(symmetry, hidden_units=(2,))},
            {"model": keras_model},
        ),
        Subject(
            lambda **arguments: envs.make("CartPole", **arguments),
            {"dtype": "float32", "max_episode_steps": 500, "breaking": "gain", "kappa": 0.5},
            {"max_episode_steps": integer(1, 2**31 - 1), "kappa": number(0, 100)},
            "make('CartPole')",
        ),
        Subject(
            lambda **arguments: envs.make("Catch", **arguments),
            {"rows": 10, "columns": 5, "observation": "flat"},
            {"rows": integer(2, 1000)},
            "make('Catch')",
        ),
        Subject(
            envs.GymnasiumEnv,
            {"environment": "CartPole", "render_mode": None},
            {"render_mode": none},
        ),
        Subject(
            envs.GymnasiumVectorEnv,
            {"environment": "CartPole", "num_envs": 2, "render_mode": None},
            {"num_envs": integer(1, 2**20), "render_mode": none},
        ),
        # pictures
        *_pictures(),
        *_trading(),
        # configs
        *_configs(),
    ]
    return found


def _pictures() -> list[Subject]:
    """Layers, networks and environments of pictures."""
    group = groups.cyclic_group(2)
    rep = groups.regular_representation(group)
    picture = groups.image_representation(group, 2, 3, 2)
    symmetry = groups.Symmetry(group, state=picture, action=rep)
    windows = {
        "filters": integer(1, 2**20),
        "kernel_size": integer(1, 2),  # the picture has two rows
        "strides": integer(1, 2),  # two divides the room for windows in its columns, 3 - 1
        "padding": integer(0, 256),
        **_LINEAR,
    }
    of_windows = {"filters": 2, "kernel_size": 1, "strides": 1, "padding": "valid"}
    of_windows |= {"algorithm": "auto", **_OF_LINEAR}
    # These know no picture yet.
    free = {**windows, "kernel_size": integer(1, 256), "strides": integer(1, 256)}
    motions, of_motions = {"turns": none, "flips": none}, {"turns": None, "flips": None}
    networks = {"convolutions": none, "match_parameters": none, "observation_shape": none}
    of_networks = {
        "convolutions": models.Convolutions((2,)),
        "match_parameters": None,
        "observation_shape": (2, 3, 2),
    }

    def network(build, kind):
        return lambda **arguments: build(symmetry, kind, (2,), **arguments)

    board = {"group": one_of("D4", "C4", "C2"), "max_episode_steps": integer(1, MOST)}
    of_board = {"group": "D4", "max_episode_steps": 100}
    table = envs.Catch(2, 3)
    return [
        Subject(groups.picture_of, {"representation": picture}),
        Subject(layers.LiftingConv2D, {"representation": picture, **of_windows}, windows),
        Subject(
            layers.GroupConv2D,
            {"group": group, **of_motions, **of_windows},
            {**motions, **free},
        ),
        Subject(
            layers.SymmetrizerConv2D,
            {"channels": rep, **of_motions, "basis": "exact", "seed": 0, **of_windows},
            {
                **motions,
                **free,
                # Larger ones have bases of gigabytes.
                "kernel_size": integer(1, 2),
                "seed": integer(0),
                "kernel_initializer": either(none, a_function),
            },
        ),
        Subject(
            layers.RelaxedLiftingConv2D,
            {"representation": picture, **_OF_RELAXED, **of_windows},
            {**windows, **_RELAXED},
        ),
        Subject(
            layers.RelaxedGroupConv2D,
            {"group": group, "side": "output", **_OF_RELAXED, **of_motions, **of_windows},
            {**motions, **free, **_RELAXED, "side": none},
        ),
        Subject(
            layers.RelaxedSteerableConv2D,
            {
                **{"channels": rep, "rate": 1.0, "relaxation_initializer": "zeros"},
                **{**of_motions, "seed": 0, **of_windows},
            },
            {
                **motions,
                **free,
                **{"kernel_size": integer(1, 2), "seed": integer(0), "rate": number(5e-324)},
                "kernel_initializer": either(none, a_function),
                "relaxation_initializer": a_function,
            },
        ),
        Subject(layers.SpatialPooling, {"mode": "mean", **_OF_KERAS}, _KERAS),
        Subject(models.Relaxation, _OF_RELAXATION, {**_RELAXATION, "banks": integer(1, MOST)}),
        Subject(
            models.Convolutions,
            {
                "filters": (2,),
                "kernel_sizes": (3,),
                "strides": (1,),
                "padding": "same",
                "pooling": "flatten",
                "picture_scale": 1.0,
            },
            {
                # There is one of each of the others.
                "filters": sequence_of(integer(1, 2**14), range(1, 2)),
                "kernel_sizes": none,
                "strides": none,
                "picture_scale": number(5e-324),
            },
        ),
        Subject(network(models.actor, "gcnn"), of_networks, networks, "actor of pictures"),
        Subject(network(models.critic, "invariant"), of_networks, networks, "critic of pictures"),
        Subject(envs.GridWorld, of_board, board),
        Subject(
            envs.Snake,
            {"height": 9, "width": 9, **of_board},
            {"height": integer(9, 9), "width": integer(9, 9), **board},
        ),
        Subject(
            lambda **arguments: envs.make("Snake", **arguments),
            {"height": 9},
            {"height": integer(9, 9)},
            "make('Snake')",
        ),
        Subject(envs.exact_returns, {"env": table, "policies": np.full([9, 3], 1 / 3)}),
        Subject(envs.optimal_return, {"env": table}),
        Subject(envs.symmetry_gaps, {"env": table, "symmetry": table.symmetry}, {"symmetry": none}),
        Subject(
            envs.recommend,
            {"env": table, "symmetry": table.symmetry, "samples": 3, "seed": 0},
            {"symmetry": none, "samples": integer(1, 10**8), "seed": integer(0, 2**64 - 1)},
        ),
    ]


def _trading() -> list[Subject]:
    """Stocks."""
    market = trading.Market(np.full([70, 1], 5.0))
    positive, amount = number(5e-324), number(1e-12, 1e12)
    # All others would be too many, or take too long.
    few = integer(1, 2)
    return [
        Subject(
            trading.Market,
            {"prices": [[1.0], [2.0]], "tickers": None, "days": None},
            {"tickers": either(none, texts), "days": none},
        ),
        Subject(market.of, {"tickers": ["A0"]}),
        Subject(
            trading.StockTrading,
            {
                **{"market": market, "group": "time", "window": 2, "scales": (1,)},
                **{"first_day": None, "last_day": None, "random_start": True},
                **{"max_episode_steps": 2, "initial_cash": 1e6, "max_shares": 100.0},
                **{"cost": 0.001, "reward_scale": 1e-4, "policy": "gaussian"},
            },
            {
                **{"window": integer(1, 60), "scales": sequence_of(integer(1, 60))},
                **{"first_day": none, "last_day": none, "random_start": flag},
                **{"max_episode_steps": either(none, integer(1, 10)), "initial_cash": amount},
                **{"max_shares": amount, "cost": number(0, 0.99), "reward_scale": amount},
            },
        ),
        Subject(
            trading.simulated_market,
            {
                **{"paths": 1, "days": 3, "stocks": 1, "kappa": 0.5, "seed": 0, "window": 1},
                **{"momentum": 0.5, "volatility": 0.01, "price": 10.0},
            },
            {
                **{"paths": few, "days": integer(2, 3), "stocks": few, "window": few},
                **{"kappa": number(0, 1), "momentum": number(-0.99, 0.99)},
                **{"seed": integer(0, 2**64 - 1), "volatility": positive, "price": positive},
            },
        ),
    ]


def _configs() -> list[Subject]:
    count = integer(1, 2**31 - 1)
    positive, at_least_0, share = number(5e-324), number(0), number(0, 1)
    on_policy = {
        "total_timesteps": integer(512, 2**53),
        "num_environments": integer(1, 2**20),
        "rollout_steps": count,
        "learning_rate": positive,
        "anneal_learning_rate": flag,
        "adam_beta_1": share,
        "adam_beta_2": share,
        "adam_epsilon": positive,
        "max_gradient_norm": positive,
        "discount": share,
        "normalize_observations": flag,
        "normalize_rewards": flag,
    }
    networks = {
        "hidden_units": sequence_of(integer(1, 2**14)),
        "match_parameters": either(none, integer(1, 10**8)),
    }

    def nothing(value):
        return isinstance(value, (list, tuple)) and not value

    # Of networks that may be relaxed.
    relaxation = {
        **{"relaxation_banks": integer(1, MOST), "relaxation_rate": positive},
        **{key: rule for key, rule in _RELAXATION.items() if key not in ("banks", "rate")},
    }
    pictures = {
        **relaxation,
        "filters": either(nothing, sequence_of(integer(1, 2**14))),
        "kernel_sizes": nothing,  # as there are no filters
        "strides": nothing,
        "picture_scale": positive,
    }
    dqn = {
        **{k: rule for k, rule in on_policy.items() if not k.startswith("normalize")},
        **networks,
        **pictures,
        "num_environments": integer(1, 2),  # of which `train_every` is a multiple
        "max_gradient_norm": either(none, positive),
        "activation": none,
        "double": flag,
        "n_steps": integer(1, 1000),
        "huber_delta": positive,
        "buffer_size": integer(1_000, 2**23),
        "batch_size": integer(1, 1_000),
        "learning_starts": integer(64, 50_000),
        "train_every": integer(4, 4),
        "gradient_steps": integer(1, 1_000),
        "target_update_period": count,
        "epsilon_start": number(0.05, 1),
        "epsilon_end": share,
        "epsilon_steps": count,
    }
    sac = {
        **{k: rule for k, rule in on_policy.items() if not k.startswith("normalize")},
        **networks,
        **pictures,
        "num_environments": integer(1, 1),  # of which `train_every` is a multiple
        "max_gradient_norm": either(none, positive),
        "match_q_function_parameters": either(none, integer(1, 10**8)),
        "activation": none,
        "actor_learning_rate": either(none, positive),
        "temperature_learning_rate": either(none, positive),
        "learn_temperature": flag,
        "initial_temperature": positive,
        "target_entropy": either(none, number(-math.inf)),
        "tau": lambda value: share(value) and value > 0,
        "buffer_size": integer(1_000, 2**23),
        "batch_size": integer(1, 100_000),
        "learning_starts": integer(0, 20_000),
        "train_every": integer(1, 2),
        "gradient_steps": integer(1, 100_000),
    }
    drqv2 = {
        **{k: rule for k, rule in on_policy.items() if not k.startswith("normalize")},
        **networks,
        **pictures,
        "num_environments": integer(1, 2),  # of which `train_every` is a multiple
        "max_gradient_norm": either(none, positive),
        "features": integer(1, 2**14),
        "n_steps": integer(1, 1_000),
        "tau": lambda value: share(value) and value > 0,
        "deviation_start": number(0.1),
        "deviation_end": number(0, 1),
        "deviation_steps": count,
        "noise_clip": number(0),
        "shift": integer(0, 64),
        "buffer_size": integer(2_000, 2**23),
        "batch_size": integer(1, 50_000),
        "learning_starts": integer(0, 50_000),
        "train_every": integer(1, 2),
        "gradient_steps": integer(1, 80_000),
        # There is one of each for the four convolutions.
        "filters": sequence_of(integer(1, 2**14), range(4, 5)),
        "kernel_sizes": sequence_of(integer(1, 256), (0, 4)),
        "strides": sequence_of(integer(1, 256), (0, 4)),
    }
    ppo = {
        **on_policy,
        **networks,
        **pictures,
        "normalize_advantages": flag,
        "match_critic_parameters": either(none, integer(1, 10**8)),
        "actor_initializer": none,
        "activation": none,
        "num_epochs": count,
        "num_minibatches": count,
        "gae_lambda": share,
        "clip_ratio": share,
        "clip_value": at_least_0,
        "value_coefficient": at_least_0,
        "entropy_coefficient": at_least_0,
        "consistency_coefficient": at_least_0,
    }
    model = {
        **networks,
        **relaxation,
        "predict_change": either(none, flag),
        "temperature": positive,
        "num_epochs": count,
        "batch_size": count,
        "learning_rate": positive,
        "anneal_learning_rate": flag,
        "adam_beta_1": share,
        "adam_beta_2": share,
        "adam_epsilon": positive,
        "max_gradient_norm": either(none, positive),
    }
    planning = {
        "model": none,
        "planning_ratio": at_least_0,
        "dyna_iterations": count,
        "warmup_timesteps": integer(0, 2**53),
        "model_rollout_steps": either(none, count),
        "max_policy_change": either(none, at_least_0),
        "max_model_error": either(none, at_least_0),
        "max_disagreement": either(none, at_least_0),
        "ensemble_size": count,
        "buffer_size": either(none, count),
        "augment": flag,
        "model_epochs": positive,
        "max_model_steps": either(none, count),
    }

    def defaults(config):
        return {name: getattr(config, name) for name in config.__dataclass_fields__}

    flat = dyna.DynaConfig().flat()
    of_model = {f"model_{field}": rule for field, rule in model.items()}

    def nested(part):
        """The config whose JSON has one field changed in a part."""

        def build(**fields):
            whole = dyna.DynaConfig().to_json()
            return dyna.DynaConfig.from_json({**whole, part: {**whole[part], **fields}})

        return build

    def list_of_plain(value):
        if not isinstance(value, (list, tuple)) or not value:
            return False
        flat = [y for x in value for y in (x if isinstance(x, list) else [x])]
        return all(x is None or isinstance(x, (bool, int, float, str)) for x in flat)

    short = agents.PPOConfig(total_timesteps=512)
    search = {
        "env": "CartPole",
        "config": short,
        "space": {"learning_rate": search_space.LogUniform(1e-4, 1e-2)},
        "trials": 2,
        "seeds": (0,),
        "method": "random",
        "objective": "area",
        "max_environment_steps": None,
        "max_gradient_steps": None,
        "reduction": 2,
        "rungs": 2,
        "at_once": 1,
        "random_seed": 0,
    }
    of_search = {
        "trials": integer(1, 100_000),
        "seeds": sequence_of(integer(0, MOST)),
        "max_environment_steps": either(none, integer(1, 2**63)),
        "max_gradient_steps": either(none, integer(1, 2**63)),
        "reduction": integer(2, 1000),
        "rungs": integer(1, 100),
        "at_once": integer(1, 100_000),
        "random_seed": integer(0, MOST),
    }
    return [
        Subject(experiments.Search, search, of_search),
        Subject(
            search_space.Uniform,
            {"low": 0.0, "high": 1.0},
            {"low": number(-math.inf, 1), "high": number(0)},
        ),
        Subject(
            search_space.LogUniform,
            {"low": 1.0, "high": 2.0},
            {"low": number(0, 2), "high": number(1)},
        ),
        Subject(search_space.Choice, {"values": (1, 2)}, {"values": list_of_plain}),
        Subject(OnPolicyConfig, defaults(OnPolicyConfig()), on_policy),
        Subject(agents.PPOConfig, defaults(agents.PPOConfig()), ppo),
        Subject(
            lambda **fields: agents.PPOConfig(filters=(2, 3), **fields),
            {"kernel_sizes": (3, 3), "strides": (1, 1), "padding": "same", "pooling": "max"},
            {"kernel_sizes": nothing, "strides": nothing},
            "PPOConfig of pictures",
        ),
        Subject(agents.DQNConfig, defaults(agents.DQNConfig()), dqn),
        Subject(agents.DrQv2Config, defaults(agents.DrQv2Config()), drqv2),
        Subject(agents.SACConfig, defaults(agents.SACConfig()), sac),
        Subject(dynamics.TransitionModelConfig, defaults(dynamics.TransitionModelConfig()), model),
        Subject(dyna.DynaConfig, defaults(dyna.DynaConfig()), planning),
        Subject(dyna.DynaConfig.from_flat, flat, {**ppo, **planning, **of_model}, "from_flat"),
        Subject(
            nested("agent"), agents.PPOConfig().to_json(), ppo, "DynaConfig.from_json of agent"
        ),
        Subject(
            nested("model"),
            dyna.DynaConfig().model.to_json(),
            # What is said of these is that they must be the defaults.
            {**model, "num_epochs": never, "anneal_learning_rate": lambda value: value is False},
            "DynaConfig.from_json of model",
        ),
        Subject(
            agents.PPOConfig.from_json,
            {"fields": agents.PPOConfig().to_json()},
            {"fields": lambda value: value == {}},
            "PPOConfig.from_json",
        ),
        Subject(
            dyna.DynaConfig.from_json,
            {"fields": dyna.DynaConfig().to_json()},
            {"fields": lambda value: value == {}},
            "DynaConfig.from_json",
        ),
    ]


def functions() -> list[Subject]:
    """Functions that users call first; what they do once all is checked is left out.

    Not tried are seeds of training and the weights of many members.
    """
    env = envs.make("CartPole")
    stocks = trading.StockTrading(trading.Market(np.full([62, 1], 5.0)), max_episode_steps=2)
    actor = models.actor(env.symmetry, hidden_units=(2,))
    model = models.transition_model(env.symmetry, hidden_units=(2,))
    data = _some_transitions(env)
    seed, count = integer(0, MOST), integer(1, 10**8)
    agent = {"config": none, "actor": none, "critic": none}
    return [
        Subject(
            agents.train_ppo,
            {
                "env": env,
                "config": agents.PPOConfig(hidden_units=(2,)),
                "actor": None,
                "critic": None,
                "start_from": None,
                "start_seed": None,
            },
            {**agent, "start_from": none, "start_seed": none},
        ),
        Subject(
            agents.train_dqn,
            {
                "env": env,
                "config": agents.DQNConfig(hidden_units=(2,)),
                "q_function": None,
            },
            {"config": none, "q_function": none},
        ),
        Subject(
            agents.train_sac,
            {
                "env": envs.make("Pendulum-v1", policy="squashed_gaussian"),
                "config": agents.SACConfig(hidden_units=(2,)),
                "actor": None,
                "q_function": None,
            },
            {"config": none, "actor": none, "q_function": none},
        ),
        Subject(
            agents.train_drqv2,
            {
                "env": envs.Pixels(size=37, frames=1),
                "config": agents.DrQv2Config(
                    **{"filters": (2,), "kernel_sizes": (3,), "strides": (2,)},
                    **{"features": 2, "hidden_units": (2,)},
                ),
            },
            {"config": none},
        ),
        Subject(
            dyna.train_dyna,
            {
                "env": env,
                "config": dyna.DynaConfig(agent=agents.PPOConfig(hidden_units=(2,))),
                "actor": None,
                "critic": None,
                "frozen_model": None,
                "start_from": None,
                "start_seed": None,
            },
            {**agent, "frozen_model": none, "start_from": none, "start_seed": none},
        ),
        Subject(
            dynamics.fit_transition_model,
            {
                "env": env,
                "data": data,
                "config": dynamics.TransitionModelConfig(hidden_units=(2,)),
                "validation": None,
                "model": None,
            },
            {"config": none, "validation": none, "model": none},
        ),
        Subject(
            agents.make_ppo_agent,
            {"env": env, "config": agents.PPOConfig(), "actor": actor, "critic": None},
            {"config": none, "actor": none, "critic": none},
        ),
        Subject(
            evaluation.evaluate,
            {"model": actor, "env": env, "episodes": 1, "greedy": True, "seed": 0},
            {"episodes": count, "greedy": flag, "seed": seed},
        ),
        Subject(
            evaluation.record,
            {"model": actor, "env": env, "seed": 0, "greedy": True, "mode": "ansi"},
            {"greedy": flag, "seed": seed},
        ),
        Subject(
            evaluation.model_equivariance_error,
            {"model": actor, "env": env, "states": 1, "seed": 0},
            {"model": keras_model, "states": count, "seed": seed},
        ),
        Subject(
            evaluation.value_gaps,
            {"critics": actor, "env": env, "states": 1, "seed": 0, "observations": None},
            {"critics": keras_model, "states": count, "seed": seed, "observations": none},
        ),
        Subject(
            evaluation.visited_observations,
            {"env": env, "states": 1, "seed": 0},
            {"states": count, "seed": seed},
        ),
        Subject(evaluation.fitting_environment, {"model": actor}),
        Subject(
            dynamics.collect_transitions,
            {
                "env": env,
                "policy": "random",
                "num_transitions": 1,
                "seed": 0,
                "greedy": False,
                "num_environments": 1,
            },
            {
                "num_transitions": count,
                "seed": seed,
                "greedy": flag,
                "num_environments": integer(1, 2**20),
            },
        ),
        Subject(
            dynamics.make_dataset,
            {"env": env, "kind": "joint", "num_transitions": 2, "seed": 0, "expert": None},
            {"num_transitions": integer(2, 10**8), "seed": seed, "expert": none},
        ),
        Subject(
            dynamics.half_and_half,
            {"env": env, "num_transitions": 2, "seed": 0, "expert": actor},
            {"num_transitions": integer(2, 10**8), "seed": seed, "expert": none},
        ),
        Subject(dynamics.one_action_of_each_orbit, {"env": env}),
        Subject(dynamics.all_transitions, {"env": envs.make("Catch", rows=2, columns=3)}),
        Subject(
            dynamics.sample_pairs,
            {"env": env, "num_pairs": 1, "seed": 0},
            {"num_pairs": count, "seed": seed},
        ),
        Subject(
            functools.partial(dynamics.transition_errors, weights=None),
            {"env": env, "model": model, "data": data},
            {"model": keras_model},
        ),
        Subject(
            functools.partial(dynamics.rollout_errors, weights=None),
            {
                "env": env,
                "model": model,
                "start": data,
                "num_steps": 1,
                "seed": 0,
            },
            {"model": keras_model, "num_steps": integer(1, 10**6), "seed": seed},
        ),
        Subject(
            functools.partial(dynamics.transition_equivariance, weights=None),
            {"env": env, "model": model, "pairs": data, "tolerance": 1e-4},
            {"model": keras_model, "tolerance": number(5e-324)},
        ),
        Subject(
            trading.backtest,
            {"env": stocks, "policy": np.zeros([2, 1]), "members": ()},
            {
                "policy": lambda value: isinstance(value, keras.layers.Dense),
                "members": lambda value: (
                    (isinstance(value, (list, tuple)) and value in ((), []))
                    or sequence_of(integer(1, 2**20))(value)
                ),
            },
        ),
        Subject(trading.buy_and_hold, {"env": stocks, "market": None}, {"market": none}),
        Subject(
            envs.make_tf_agents,
            {"environment": "CartPole", "batch_size": 1, "seed": 0},
            {"batch_size": integer(1, 2**20), "seed": seed},
        ),
        Subject(
            envs.check_symmetry,
            {
                "env": env,
                "symmetry": None,
                "samples": 1,
                "seed": 0,
                "states": None,
                "policy": None,
                "restore": None,
            },
            {
                "symmetry": none,
                "samples": count,
                "seed": integer(0, 2**64 - 1),
                "states": none,
                "policy": callable_or_none,
                "restore": none,
            },
        ),
    ]


def _some_transitions(env):
    state = env.initial_state(tf.zeros([2, env.num_uniforms]))
    return dynamics.Transitions.from_arrays(env, state, [0, 1], state)


@contextlib.contextmanager
def no_work():
    """Within it the functions check their arguments and do nothing else."""
    from tf_equirl.agents.dqn import train as dqn
    from tf_equirl.agents.drqv2 import train as drqv2
    from tf_equirl.agents.ppo import train as ppo
    from tf_equirl.agents.sac import train as sac
    from tf_equirl.dyna import train as of_dyna

    module = {
        name: inspect.getmodule(function)
        for name, function in {
            "collection": dynamics.collect_transitions,
            "datasets": dynamics.make_dataset,
            "equivariance": dynamics.transition_equivariance,
            "evaluate": evaluation.evaluate,
            "fit": dynamics.fit_transition_model,
            "measures": dynamics.rollout_errors,
            "observations": evaluation.visited_observations,
            "record": evaluation.record,
            "agent": agents.make_ppo_agent,
            "symmetry": envs.check_symmetry,
        }.items()
    }

    class Done(Exception):
        """Takes the place of work, all arguments checked."""

    def done(*arguments, **options):
        raise Done

    replaced = [
        (dqn, "train", done),
        (ppo, "train", done),
        (sac, "train", done),
        (drqv2, "train", done),
        (of_dyna, "train", done),
        (module["fit"], "train", done),
        (module["collection"], "_play", done),
        (module["evaluate"], "_program", done),
        (module["record"], "start_uniforms", done),
        (module["observations"], "GymnasiumVectorEnv", done),
        (module["measures"], "for_each_member", done),
        (module["equivariance"], "for_each_member", done),
        (module["agent"], "clip_agent", done),
        (module["symmetry"], "_starts", done),
    ]
    with contextlib.ExitStack() as stack:
        for owner, name, replacement in replaced:
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield Done


def trial(subject: Subject, argument: str, label: str) -> str:
    """Calls with one bad value: "refused", "accepted", or what went wrong."""
    value = BAD[label]()
    try:
        subject.call(**{**subject.valid, argument: value})
    except ValueError as error:
        message = str(error)
        rule = message.split("Received:")[0]
        if not re.search(rf"(?<!\w){re.escape(argument)}(?!\w)", rule):
            return f"does not name it: {message[:300]}"
        if len(message) > LONGEST_MESSAGE:
            return f"a message of {len(message)} characters: {message[:300]}"
        return "refused"
    except Exception as error:
        if type(error).__name__ != "Done":
            return f"{type(error).__name__}: {str(error)[:300]}"
    # Another one: the call may have used the first one up.
    right = subject.right.get(argument, never)
    with contextlib.suppress(Exception):
        if right(BAD[label]()):
            return "accepted"
    return "accepts it"


def title(subject: Subject) -> str:
    """What the subject is called."""
    call = getattr(subject.call, "func", subject.call)
    return subject.name or call.__qualname__


def run(
    subjects: list[Subject], every: int = 1
) -> tuple[dict[str, collections.Counter], list[str]]:
    """Every so manieth trial: counts of outcomes by subject, a line for each that went wrong."""
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    wrong = []
    trials = [(s, argument, label) for s in subjects for argument in s.valid for label in BAD]
    for subject, argument, label in trials[::every]:
        outcome = trial(subject, argument, label)
        ends_well = outcome in ("refused", "accepted")
        counts[title(subject)][outcome if ends_well else "wrong"] += 1
        if not ends_well:
            wrong.append(f"{title(subject)}({argument}=<{label}>): {outcome}")
    return counts, wrong


def report(counts: dict[str, collections.Counter]) -> str:
    """A table of counts."""
    kinds = ("refused", "accepted", "wrong")
    rows = [[name, *(counter[kind] for kind in kinds)] for name, counter in counts.items()]
    rows.append(["all", *(sum(row[i] for row in rows) for i in (1, 2, 3))])
    head = f"{'':45}{'refused':>10}{'accepted':>10}{'wrong':>10}"
    return "\n".join([head, *(f"{name:45}{a:10}{b:10}{c:10}" for name, a, b, c in rows)])
