"""Models for those who do not have tf_equirl: plain Keras, SavedModel, TFLite and ONNX.

    from tf_equirl import exporting

    exporting.export(model, "actor.keras")

It needs no tf-agents.
"""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.exporting")

from tf_equirl.exporting.checked import TOLERANCE, Exported, export
from tf_equirl.exporting.formats import FORMATS
from tf_equirl.exporting.plain import to_plain

__all__ = ["FORMATS", "TOLERANCE", "Exported", "export", "to_plain"]
