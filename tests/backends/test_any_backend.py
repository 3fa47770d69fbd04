"""What works on every backend of Keras: groups, layers, models, heads, and the zoo.

The ordinary run has TensorFlow below Keras. `make test-backends` runs this file on PyTorch and JAX,
where no TensorFlow is installed.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_equirl
from tf_equirl import models, zoo
from tf_equirl._tensorflow import require_tensorflow
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    permutation_representation,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import base
from tf_equirl.models.heads import CategoricalHead, RealHead

sys.path.insert(0, str(Path(__file__).parents[1] / "layers"))
from layer_cases import CASES, GROUPS

ACTORS = [kind for kind in models.ACTOR_KINDS if kind != "cnn"]  # of vectors
CRITICS = [kind for kind in models.CRITIC_KINDS if kind != "cnn"]
TRANSITIONS = [kind for kind in models.TRANSITION_KINDS if kind != "cnn"]
# On TensorFlow others test the same; `make test-backends` runs all.
pytestmark = pytest.mark.thorough
LAWLESS = ("mlp", "symmetrizer-random", *models.RELAXED_KINDS)  # of random weights

BACKEND = keras.backend.backend()
TOLERANCE = 1e-5  # of the output's norm: float32 rounds to 6e-8, in sums of some hundred terms
NEEDS_TENSORFLOW = "needs Keras' TensorFlow backend"


def array(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float64)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tensors(*arrays: np.ndarray) -> list:
    return [keras.ops.convert_to_tensor(x, "float32") for x in arrays]


def relative_error(received, expected) -> float:
    received, expected = array(received), array(expected)
    assert received.shape == expected.shape
    return float(np.linalg.norm(received - expected) / np.linalg.norm(expected))


def act(matrix: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return moved.astype(values.dtype)


@pytest.mark.parametrize("group", ["C2", "S3"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_layer_is_equivariant_under_every_element(case, group):
    group = GROUPS[group]
    function, law = case.function(group, case.build(group)), case.law(group)
    inputs = case.batch(group, 8)
    outputs = array(function(inputs))
    for element in group.elements:
        matrix = law["input_representation"].matrices[element]
        moved = function(act(matrix, inputs, law["input_axis"]))
        matrix = law["output_representation"].matrices[element]
        expected = act(matrix, outputs, law["output_axis"])
        assert relative_error(moved, expected) <= TOLERANCE, element


@pytest.mark.parametrize(
    "case", [case for case in CASES if "signed" in case.name], ids=lambda case: case.name
)
def test_layers_are_equivariant_where_they_gather_by_index(case, monkeypatch):
    """As they do for large groups."""
    monkeypatch.setattr(base, "LARGEST_MATRICES", 0)
    test_every_layer_is_equivariant_under_every_element(case, "S3")


@functools.cache
def symmetry(name: str) -> Symmetry:
    if name == "C2":  # CartPole's: a mirror changes the sign of the state and swaps the actions
        group = cyclic_group(2)
        mirror = Representation(group, [np.eye(4), -np.eye(4)])
        return Symmetry(group, mirror, regular_representation(group))
    group = symmetric_group(3)
    return Symmetry(group, permutation_representation(group), regular_representation(group))


def board(symmetry: Symmetry) -> CategoricalHead:
    return CategoricalHead([symmetry.state], [np.eye(symmetry.state.dim)], [1.0])


def with_random_biases(model: keras.Model) -> keras.Model:
    """Zero biases would hide one that breaks a law, or is lost in a file."""
    noise = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * noise.normal(size=variable.shape).astype("float32"))
    return model


def built():
    """Every kind of model: its kind, the symmetry, what it gives out, and a function for it."""
    for name in ("C2", "S3"):
        chosen = symmetry(name)
        for kind in ACTORS:
            if kind != "odd" or name == "C2":
                make = functools.partial(models.actor, chosen, kind)
                yield pytest.param(kind, chosen, chosen.action, make, id=f"actor-{kind}-{name}")
        for kind in CRITICS:
            make = functools.partial(models.critic, chosen, kind)
            value = trivial_representation(chosen.group)
            yield pytest.param(kind, chosen, value, make, id=f"critic-{kind}-{name}")
        heads = {"real": RealHead(chosen.state)}
        if name == "S3":
            heads["board"] = board(chosen)
        for head_name, head in heads.items():
            for kind in TRANSITIONS:
                make = functools.partial(models.transition_model, chosen, kind, head=head)
                label = f"transition-{kind}-{head_name}-{name}"
                yield pytest.param(kind, chosen, head.representation, make, id=label)


@pytest.mark.parametrize(("kind", "chosen", "outputs", "make"), [*built()])
def test_models_of_all_kinds(kind, chosen, outputs, make, tmp_path):
    """They are built, obey their law, and come back from a file."""
    model = with_random_biases(make(hidden_units=(4, 4)))
    state, action = random(8, chosen.state.dim), random(8, chosen.action.dim, seed=1)

    def given(state, action):
        return [state, action] if len(model.inputs) > 1 else state

    found = array(model(given(state, action)))
    assert found.shape == (8, outputs.dim) and np.isfinite(found).all() and found.std() > 0
    for element in chosen.group.elements if kind not in LAWLESS else ():
        moved_state = act(chosen.state.matrices[element], state, -1)
        moved_action = act(chosen.action.matrices[element], action, -1)
        expected = act(outputs.matrices[element], found, -1)
        assert relative_error(model(given(moved_state, moved_action)), expected) <= TOLERANCE

    models.save(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert relative_error(again(given(state, action)), found) <= TOLERANCE


def test_a_model_is_trained_and_stays_equivariant():
    chosen = symmetry("S3")
    model = with_random_biases(models.actor(chosen, hidden_units=(4,)))
    before = model.get_weights()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    inputs, targets = random(32, 3), random(32, 6, seed=1)
    losses = model.fit(inputs, targets, epochs=5, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    outputs = array(model(inputs))
    np.testing.assert_allclose(model.predict(inputs, verbose=0), outputs, rtol=1e-4, atol=1e-5)
    for element in chosen.group.elements:
        moved = model(act(chosen.state.matrices[element], inputs, -1))
        expected = act(chosen.action.matrices[element], outputs, -1)
        assert relative_error(moved, expected) <= TOLERANCE


def test_fresh_weights_of_many_seeds_are_those_of_each():
    model = models.actor(symmetry("S3"), "symmetrizer-sampled", hidden_units=(4,))
    before = model.get_weights()
    stacked = models.stacked_fresh_weights([model], [3, 4])
    for k, seed in enumerate((3, 4)):
        for one, many in zip(models.fresh_weights([model], seed), stacked, strict=True):
            np.testing.assert_array_equal(one, many[k])
    assert np.abs(stacked[0][0] - stacked[0][1]).max() > 0.01
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_real_head_computes_its_formulas():
    head = RealHead(symmetry("S3").state)
    outputs, target = random(5, 3), random(5, 3, seed=1)
    (loss,) = head.metrics(*tensors(outputs, target))
    np.testing.assert_allclose(array(loss), ((outputs - target) ** 2).mean(-1), rtol=1e-5)
    ensemble = random(4, 5, 3)
    expected = np.sqrt(ensemble.var(axis=0).mean(-1))
    np.testing.assert_allclose(array(head.disagreement(*tensors(ensemble))), expected, rtol=1e-5)
    np.testing.assert_array_equal(array(head.prediction(*tensors(outputs))), outputs)


def test_the_categorical_head_computes_its_formulas():
    group = symmetric_group(3)
    place, pose = permutation_representation(group), regular_representation(group)
    head = CategoricalHead([place, pose], [np.eye(3), np.eye(6)], [1.0, 0.5])
    logits = random(20, 9)
    truth = [np.random.default_rng(2).integers(size, size=20) for size in (3, 6)]
    target = np.concatenate([np.eye(3)[truth[0]], np.eye(6)[truth[1]]], axis=-1)
    entropy, right = np.zeros(20), np.ones(20, bool)
    parts = np.split(logits.astype("float64"), [3], axis=-1)
    for part, true in zip(parts, truth, strict=True):
        entropy += np.log(np.exp(part).sum(-1)) - part[np.arange(20), true]
        right &= part.argmax(-1) == true
    loss, accuracy = head.metrics(*tensors(logits, target))
    np.testing.assert_allclose(array(loss), entropy, rtol=1e-5)
    np.testing.assert_array_equal(array(accuracy), right)
    assert 0 < right.sum() < 20

    most_likely = np.concatenate([np.eye(p.shape[-1])[p.argmax(-1)] for p in parts], axis=-1)
    np.testing.assert_array_equal(array(head.prediction(*tensors(logits))), most_likely)
    two = tensors(np.stack([most_likely, np.roll(2 * most_likely, 1, axis=0)]))[0]
    # The mean is the second model's prediction: where it is another than the first's, half differ.
    differs = (most_likely != np.roll(most_likely, 1, axis=0)).any(-1)
    np.testing.assert_allclose(array(head.disagreement(two)), differs / 2)
    x_place, x_pose = (np.split(most_likely, [3], axis=-1)[k] for k in (0, 1))
    expected = np.abs(x_place - x_place[:1]).sum(-1) + 0.5 * np.abs(x_pose - x_pose[:1]).sum(-1)
    found = head.distance(*tensors(logits[:1], logits))
    np.testing.assert_allclose(array(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", zoo.list())
def test_the_zoo_gives_the_outputs_that_were_stored(name):
    assert zoo.verify_outputs(name) <= TOLERANCE
    assert all(isinstance(model, keras.Model) for model in zoo.load(name).networks.values())


# Those that call `require_tensorflow` themselves.
@pytest.mark.parametrize(
    "part",
    ["agents", "distributions", "dyna", "dynamics", "envs", "evaluation", "exporting", "training"],
)
def test_what_needs_tensorflow_says_so(part, monkeypatch):
    monkeypatch.delitem(sys.modules, f"tf_equirl.{part}", raising=False)
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    message = rf"tf_equirl.{part} {NEEDS_TENSORFLOW}.*KERAS_BACKEND=tensorflow.*'another'"
    with pytest.raises(ImportError, match=message):
        importlib.import_module(f"tf_equirl.{part}")


def test_only_another_backend_is_refused(monkeypatch):
    for backend in ("tensorflow", "torch", "jax", "numpy"):
        monkeypatch.setattr(keras.backend, "backend", lambda backend=backend: backend)
        if backend == "tensorflow":
            require_tensorflow("this")
        else:
            with pytest.raises(ImportError, match=f"^this {NEEDS_TENSORFLOW}.*{backend!r}$"):
                require_tensorflow("this")


def test_nothing_imports_tensorflow_where_it_is_not_the_backend():
    """A part of the package comes without TensorFlow, or refuses to come in plain words.

    The last test of this file: what the others imported counts, too.
    """
    if BACKEND == "tensorflow":
        assert "tensorflow" in sys.modules
        return
    wanting, importing = [], ["tests" for _ in {"tensorflow"} & set(sys.modules)]
    for part in pkgutil.iter_modules(tf_equirl.__path__, "tf_equirl."):
        try:
            importlib.import_module(part.name)
        except ImportError as error:
            # The environments of `make test-backends` have few packages: another may be missing.
            missing = (error.name or "tensorflow").partition(".")[0]
            if NEEDS_TENSORFLOW not in str(error) and missing in ("tensorflow", "tf_equirl"):
                wanting.append(part.name)
        if "tensorflow" in sys.modules and not importing:
            importing.append(part.name)
    assert (wanting, importing) == ([], [])
