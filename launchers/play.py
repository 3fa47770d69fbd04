"""Shows one episode of a model, in the terminal or as a film.

python -m launchers.play --model=cartpole-ppo-gcnn
python -m launchers.play --model=catch-ppo-gcnn --output=episode.gif
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from absl import flags

from . import common, model_flags

_POLICY = flags.DEFINE_enum(
    "policy", "greedy", ["greedy", "sampled"], "most probable actions, or drawn ones"
)
_OUTPUT = flags.DEFINE_string("output", None, "file.gif or file.mp4 (default: the terminal)")
_FPS = flags.DEFINE_float("fps", None, "frames per second (default: the environment's)")
flags.adopt_module_key_flags(model_flags)  # so that --helpshort shows them

_CLEAR = "\x1b[H\x1b[J"  # to the upper left corner, and away with what follows


def main() -> None:
    """Plays, shows or writes, prints the return."""
    from tf_equirl import evaluation

    writers = {".gif": evaluation.write_gif, ".mp4": evaluation.write_mp4}
    output = Path(_OUTPUT.value) if _OUTPUT.value else None
    if output and output.suffix.lower() not in writers:
        raise ValueError(f"output must end in .gif or .mp4. Received: output={output}")
    if _FPS.value is not None and not 0 < _FPS.value < math.inf:
        raise ValueError(f"fps must be a positive number. Received: fps={_FPS.value}")
    model, env = model_flags.model_and_environment()
    fps = _FPS.value or env.render_fps
    mode = "rgb_array" if output else "ansi"
    recording = evaluation.record(
        model, env, model_flags.SEED.value, _POLICY.value == "greedy", mode
    )
    if output:
        try:
            writers[output.suffix.lower()](recording.frames, output, fps)
        except ImportError as error:
            raise ValueError(error) from error
        print(f"film: {output}")
    else:
        _show(recording.frames, fps)
    print(f"return: {recording.episode_return:g} in {len(recording.frames) - 1} steps")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "No film was written.")


def _show(frames: list[str], fps: float) -> None:
    terminal = sys.stdout.isatty()
    for frame in frames:
        print(f"{_CLEAR}{frame}" if terminal else f"{frame}\n", flush=terminal)
        if terminal:
            time.sleep(1 / fps)


if __name__ == "__main__":
    run()
