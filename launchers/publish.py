"""Publishes a finished run as a model of the zoo: card, checksums, curve, a policy's film.

python -m launchers.publish --run_dir=runs/my-run --name=my-model --success=500
python -m launchers.publish --run_dir=runs/my-transition-run --name=my-transition-model
"""

from __future__ import annotations

from absl import flags

from . import common

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "folder of a finished run of train_ppo or train_transition_model"
)
_NAME = flags.DEFINE_string("name", None, "the model's name: lower-case words joined by hyphens")
_SUCCESS = flags.DEFINE_float(
    "success", None, "return from which on an episode is a success; of a policy"
)
_ZOO_DIR = flags.DEFINE_string("zoo_dir", "zoo", "folder of the zoo")
_EPISODES = flags.DEFINE_integer("episodes", 1000, "episodes of each evaluation; of a policy")
_TRANSITIONS = flags.DEFINE_integer(
    "transitions", 10_000, "transitions of the evaluation; of a transition model"
)
_DESCRIPTION = flags.DEFINE_string(
    "description", None, "one sentence (default: from the configuration)"
)
_LICENCE = flags.DEFINE_string(
    "licence", None, "a line (default: that of tf_equirl in its own zoo; none is stated in another)"
)
_LIMIT = flags.DEFINE_multi_string("limit", [], "a sentence on what the model cannot do")


def main() -> None:
    """Publishes, and says where."""
    from tf_equirl import publishing, zoo

    for flag in (_RUN_DIR, _NAME):
        if flag.value is None:
            raise ValueError(f"--{flag.name} must be given. Received: none")
    card_type = publishing.type_of_run(_RUN_DIR.value)
    is_policy = card_type == zoo.POLICY
    for flag in [_TRANSITIONS] if is_policy else [_SUCCESS, _EPISODES]:
        if common.given(flag.name):
            raise ValueError(
                f"--{flag.name} must not be given for a {card_type.text}, which {_RUN_DIR.value} "
                f"holds. Received: {flag.name}={flag.value}"
            )
    common_arguments = {
        "run_dir": _RUN_DIR.value,
        "name": _NAME.value,
        "zoo_dir": _ZOO_DIR.value,
        "description": _DESCRIPTION.value,
        "limits": _LIMIT.value,
        "licence": _LICENCE.value,
    }
    if is_policy:
        if _SUCCESS.value is None:
            raise ValueError("--success must be given for a policy. Received: none")
        success = int(_SUCCESS.value) if _SUCCESS.value.is_integer() else _SUCCESS.value
        place = publishing.publish(success=success, episodes=_EPISODES.value, **common_arguments)
    else:
        place = publishing.publish_transition_model(
            transitions=_TRANSITIONS.value, **common_arguments
        )
    print(f"published: {place}")
    if publishing.is_own(_ZOO_DIR.value):
        print(f"look at its README.md; in Python: zoo.load({_NAME.value!r}, {_ZOO_DIR.value!r})")
    else:
        print("look at its README.md; then: python -m launchers.zoo_models --write_table")


def run() -> None:
    """Entry point of the console script."""
    common.launch(
        main,
        lambda: (
            "The zoo holds what it held before or, if this came at the very end, the new model."
        ),
    )


if __name__ == "__main__":
    run()
