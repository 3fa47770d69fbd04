"""Opens run folders at given moments: lines of stdin are "TIME RESUME FOLDER"."""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "training"))

from training_cases import Walk, WalkConfig

from tf_equirl._files import InUseError
from tf_equirl.training import train


def race(moment, resume, folder):
    held = []

    def hold(progress):
        held.append(time.time())
        if progress.updates:
            time.sleep(0.1)

    while time.time() < moment:
        pass
    try:
        train(Walk(WalkConfig(num_updates=6)), range(4), folder, resume=resume, on_progress=hold)
    except InUseError:
        return "in use"
    except ValueError as error:
        return "held" if "which holds this run already" in str(error) else f"ValueError: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return f"trained {held[0]} {held[-1]}"


if __name__ == "__main__":
    train(Walk(WalkConfig(num_updates=6)), range(4))  # compiles
    print("ready", flush=True)
    for line in sys.stdin:
        moment, resume, folder = line.rstrip("\n").split(" ", 2)
        print(race(float(moment), resume == "True", folder), flush=True)
