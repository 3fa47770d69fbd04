"""Writes the golden files of the layers: `python tools/make_golden_layers.py`.

In `tests/layers/golden`, one small model for each public layer, for each distance of
`ProximalPooling` and for pictures, whose representation is saved in a form of its own, with inputs
and outputs. `tests/layers/test_golden_layers.py` loads them with
plain Keras and compares, so that a change which breaks the files that users have saved is noticed.
Files that exist are kept: they were written by an older tf_equirl, and reading those is the point.
To replace one, delete it first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from tf_equirl import models
from tf_equirl.groups import FiniteGroup, image_representation
from tf_equirl.layers import LiftingDense, ModeDistance

TESTS = Path(__file__).resolve().parents[1] / "tests" / "layers"
sys.path.insert(0, str(TESTS))
from layer_cases import CASES, GROUPS, Case, lifting, natural, proximal, regular  # noqa: E402

GROUP = GROUPS["S3"]  # the smallest that is not abelian
OF_PICTURES = GROUPS["D4"]
NUM_INPUTS = 8
# By the name of the file, `<layer>` or `<layer>-<variant>`.
GOLDEN = {
    "EquivariantReadout": "readout_skew",
    "GroupAveraging": "averaging_skew",
    "GroupConv2D": "group_conv",
    "GroupDense": "group",
    "GroupPooling": "pooling_max",
    "InputNormalization": "normalization_natural",
    "InvariantVector": "invariant_vector",
    "LiftingConv2D": "lift_conv_skew",
    "LiftingDense": "lift_skew",
    "PermutationEquivariantDense": "permutation_signed",
    "ProximalPooling": "proximal_l1_hard_signed",
    "ProximalPooling-l2": "proximal_l2_soft_turned",
    "RelaxedGroupConv2D": "relaxed_group_conv",
    "RelaxedGroupDense": "relaxed_group_input",
    "RelaxedLiftingConv2D": "relaxed_lift_conv",
    "RelaxedLiftingDense": "relaxed_lift",
    "RelaxedReadout": "relaxed_readout",
    "RelaxedSteerableConv2D": "relaxed_steerable_natural",
    "ResidualPathway": "pathway_lift",
    "SpatialPooling": "spatial_pooling",
    "SymmetrizerConv2D": "symmetrizer_conv",
    "SymmetrizerDense": "symmetrizer_exact_signed",
    "SymmetrizerDense-sampled": "symmetrizer_sampled_lift",
    "TransitionImages": "images_skew",
}


def main() -> None:
    """Writes the files that are missing, and says which."""
    cases = {case.name: case for case in CASES}
    chosen = {file: cases[name] for file, name in GOLDEN.items()}
    corners = ModeDistance([[*np.eye(3), np.zeros(3)]], [2.0])  # `natural` moves three, fixes one
    chosen["ProximalPooling-ModeDistance"] = proximal(corners, "hard", natural)
    chosen["LiftingDense-image"] = Case(
        "image",
        LiftingDense,
        lifting,
        lambda group: image_representation(group, 3, 3, 2),
        regular,
        input_rows=False,
    )
    folder = TESTS / "golden"
    folder.mkdir(exist_ok=True)
    for name, case in chosen.items():
        file = folder / f"{name}.keras"
        if not file.exists():
            write(file, case, OF_PICTURES if case.name == "image" else GROUP)
            print(f"wrote {file.name}")


def write(file: Path, case: Case, group: FiniteGroup) -> None:
    """Writes a model of one layer, and its inputs and outputs beside it."""
    layer = case.build(group, name="layer")
    inputs = case.layer_input(group, case.batch(group, NUM_INPUTS))
    arrays = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(inputs)]
    symbols = [keras.Input(x.shape[1:], name=f"input_{k}") for k, x in enumerate(arrays)]
    given = symbols if len(symbols) > 1 else symbols[0]
    model = keras.Model(given, layer(given), name="golden")
    outputs = keras.ops.convert_to_numpy(model(arrays if len(arrays) > 1 else arrays[0]))
    models.save(model, file)
    np.savez(file.with_suffix(".npz"), outputs=outputs, **{str(k): x for k, x in enumerate(arrays)})


if __name__ == "__main__":
    main()
