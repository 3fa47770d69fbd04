"""What is measured of trained networks that were relaxed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def spreads(result: Any) -> NDArray[np.float64]:
    """Of the weights of relaxed layers, mean over the actor's layers: `[seeds]`.

    Args:
        result: Of training, whose actors have relaxed layers.
    """
    models = [result.actor(seed) for seed in result.seeds]
    return np.array(
        [
            np.mean([float(x.spread()) for x in model.layers if hasattr(x, "spread")])
            for model in models
        ]
    )
