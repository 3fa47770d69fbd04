"""How good a policy is, and pictures of it at work.

    from tf_equirl import evaluation

    result = evaluation.evaluate(actor, "CartPole", episodes=1000)
    print(result.mean, result.standard_error, result.success_rate(500))
    recording = evaluation.record(actor, "CartPole")
    evaluation.write_gif(recording.frames, "episode.gif", fps=50)

It needs no tf-agents.
"""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.evaluation")

from tf_equirl.evaluation.equivariance import model_equivariance_error, visited_observations
from tf_equirl.evaluation.evaluate import Evaluation, evaluate
from tf_equirl.evaluation.films import write_gif, write_mp4
from tf_equirl.evaluation.fitting import fitting_environment
from tf_equirl.evaluation.recording import CannotDraw, Recording, record
from tf_equirl.evaluation.value_gaps import ValueGaps, value_gaps

__all__ = [
    "CannotDraw",
    "Evaluation",
    "Recording",
    "ValueGaps",
    "evaluate",
    "fitting_environment",
    "model_equivariance_error",
    "record",
    "value_gaps",
    "visited_observations",
    "write_gif",
    "write_mp4",
]
