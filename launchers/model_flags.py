"""The flags of the launchers that let a model act: which one, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from . import common

if TYPE_CHECKING:
    import keras

    from tf_equirl import envs

_MODEL = flags.DEFINE_string("model", None, "name of a zoo model, or path of a .keras file")
_ENV = flags.DEFINE_string(
    "env", None, f"{common.ENV} (default: the zoo card's, else the one that fits)"
)
_ENV_ARG = flags.DEFINE_multi_string("env_arg", [], common.ENV_ARG)
_ZOO_DIR = flags.DEFINE_string("zoo_dir", None, common.ZOO_DIR)
SEED = flags.DEFINE_integer("seed", 0, "seed of start states and of sampled actions")


def success_return() -> float | None:
    """The return that the zoo's card calls a success; None for a file."""
    from tf_equirl import zoo

    try:
        return zoo.success_return(zoo.card(_MODEL.value, _ZOO_DIR.value)["evaluation"]["greedy"])
    except ValueError:
        return None


def model_and_environment() -> tuple[keras.Model, envs.BaseEnvironment]:
    """What the flags name.

    Raises:
        ValueError: If a name is unknown or a transition model's, the file is no model, or no
            environment is given and none or several fit.
    """
    from tf_equirl import evaluation, zoo
    from tf_equirl.envs.registry import from_recipe

    if not _MODEL.value:
        raise ValueError("--model must be given. Received: model=None")
    if _ENV_ARG.value and not _ENV.value:
        raise ValueError(f"--env_arg needs --env. Received: env_arg={_ENV_ARG.value}")
    chosen = common.environment(_ENV.value, _ENV_ARG.value) if _ENV.value else None
    model = zoo.load_model(_MODEL.value, _ZOO_DIR.value, must_be=zoo.POLICY.text)
    if chosen is None:
        # As `load_model` reads it: a name of the zoo goes before a file, and a file needs no zoo.
        try:
            of_card = zoo.card(_MODEL.value, _ZOO_DIR.value)["environment"]
        except ValueError:
            return model, evaluation.fitting_environment(model)
        plain = {"make": of_card["name"], "arguments": {}}
        chosen = from_recipe(of_card.get("recipe", plain))
    return model, chosen
