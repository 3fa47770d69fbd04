"""Does a model still give the outputs that were stored when it was published?"""

from __future__ import annotations

import math

import keras
import numpy as np

from tf_equirl.zoo.card_types import type_of
from tf_equirl.zoo.store import Folder, load, verify

# float32 rounds to 6e-8; sums of a few hundred terms, added in another order on another machine,
# differ by some ten times that.
GOLDEN_TOLERANCE = 1e-5


def verify_outputs(name: str, folder: Folder = None) -> float:
    """Compares a model's outputs with those stored when it was published (`golden.npz`).

    Returns:
      The largest difference of the outputs of a network, relative to the largest of them.

    Raises:
      ValueError: as `zoo.verify` does, or if the difference is above 1e-5.
    """
    verify(name, folder)
    entry = load(name, folder)
    card_type = type_of(entry.card)
    names = (*card_type.inputs, *card_type.outputs.values())
    file = entry.path / "golden.npz"
    try:
        with np.load(file, allow_pickle=False) as archive:
            golden = {key: archive[key] for key in names}
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{file} must hold {', '.join(names)}. Received: {error}") from error
    inputs = [golden[key] for key in card_type.inputs]
    differences = {
        role: _difference(entry.networks[role], inputs, golden[key])
        for role, key in card_type.outputs.items()
    }
    for role, difference in differences.items():
        if not difference <= GOLDEN_TOLERANCE:  # also where it is NaN
            raise ValueError(
                f"the {role} of {name} must give the outputs in {file} to {GOLDEN_TOLERANCE:g}. "
                f"Received: a relative difference of {difference:.2g}"
            )
    return max(differences.values())


def _difference(model: keras.Model, inputs: list[np.ndarray], expected: np.ndarray) -> float:
    outputs = model(inputs if len(inputs) > 1 else inputs[0])
    found = keras.ops.convert_to_numpy(outputs).astype(np.float64)
    if found.shape != expected.shape:
        return math.nan
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found - expected).max()) / scale
