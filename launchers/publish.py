"""Publishes a finished run as a model of the zoo: card, checksums, learning curve, film.

python -m launchers.publish --run_dir=runs/my-run --name=my-model --success=500
"""

from __future__ import annotations

from absl import flags

from tf_equirl import experiments

from . import common

_RUN_DIR = flags.DEFINE_string("run_dir", None, "folder of a finished run of train_ppo")
_NAME = flags.DEFINE_string("name", None, "the model's name: lower-case words joined by hyphens")
_SUCCESS = flags.DEFINE_float("success", None, "return from which on an episode is a success")
_ZOO_DIR = flags.DEFINE_string("zoo_dir", "zoo", "folder of the zoo")
_EPISODES = flags.DEFINE_integer("episodes", 1000, "episodes of each evaluation")
_DESCRIPTION = flags.DEFINE_string(
    "description", None, "one sentence (default: from the configuration)"
)
_LIMIT = flags.DEFINE_multi_string("limit", [], "a sentence on what the model cannot do")


def main() -> None:
    """Publishes, and says where."""
    for flag in (_RUN_DIR, _NAME, _SUCCESS):
        if flag.value is None:
            raise ValueError(f"--{flag.name} must be given. Received: none")
    place = experiments.publish(
        _RUN_DIR.value,
        _NAME.value,
        int(_SUCCESS.value) if _SUCCESS.value.is_integer() else _SUCCESS.value,
        _ZOO_DIR.value,
        _EPISODES.value,
        _DESCRIPTION.value,
        _LIMIT.value,
    )
    print(f"published: {place}")
    print("look at its README.md; then: python -m launchers.zoo_models --write_table")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "Nothing was published.")


if __name__ == "__main__":
    run()
