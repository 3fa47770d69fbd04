"""Does a model still give the outputs that were stored when it was published?"""

from __future__ import annotations

import io
import math

import keras
import numpy as np

from tf_equirl.zoo.card_types import type_of
from tf_equirl.zoo.records import check_file, printable, read_parts
from tf_equirl.zoo.store import Folder, load, steadily, verify

# float32 rounds to 6e-8; sums of a few hundred terms, added in another order on another machine,
# differ by some ten times that.
GOLDEN_TOLERANCE = 1e-5


def verify_outputs(name: str, folder: Folder = None) -> float:
    """Compares a model's outputs with those stored when it was published (`golden.npz`).

    Returns:
        The largest difference of the outputs of a network, relative to the largest of them.

    Raises:
        ValueError: As `zoo.verify` does, or if the difference is above 1e-5.
    """
    return steadily(folder, lambda: _verify_outputs(name, folder))


def _verify_outputs(name: str, folder: Folder) -> float:
    verify(name, folder)
    entry = load(name, folder)
    card_type = type_of(entry.card)
    names = (*card_type.inputs, *card_type.outputs.values())
    file = entry.path / "golden.npz"
    try:
        content = check_file(file, ("card.json", entry.card["files"]))
        parts = read_parts(content, [f"{key}.npy" for key in names].__contains__)
        golden = {key: _read_array(parts[f"{key}.npy"]) for key in names}
        inputs = [golden[key] for key in card_type.inputs]
        differences = {
            role: _difference(entry.networks[role], inputs, golden[key])
            for role, key in card_type.outputs.items()
        }
    except Exception as error:  # of many types, depending on what is wrong
        raise ValueError(
            f"{file} must hold {', '.join(names)}. Received: "
            f"{printable(str(error)) or type(error).__name__}"
        ) from error
    for role, difference in differences.items():
        if not difference <= GOLDEN_TOLERANCE:  # also where it is NaN
            raise ValueError(
                f"the {role} of {name} must give the outputs in {file} to {GOLDEN_TOLERANCE:g}. "
                f"Received: a relative difference of {difference:.2g}"
            )
    return max(differences.values())


def _read_array(content: bytes) -> np.ndarray:
    """An array as `np.save` writes it. `np.load` allocates what a header asks for, unseen."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array in another format than usual")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    array = np.frombuffer(content, dtype, offset=stream.tell())  # takes no pickles
    return array.reshape(shape, order="F" if is_fortran else "C")


def _difference(model: keras.Model, inputs: list[np.ndarray], expected: np.ndarray) -> float:
    outputs = model(inputs if len(inputs) > 1 else inputs[0])
    found = keras.ops.convert_to_numpy(outputs).astype(np.float64)
    if found.shape != expected.shape:
        return math.nan
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found - expected).max()) / scale
