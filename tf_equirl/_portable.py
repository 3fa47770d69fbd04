"""Model files that other versions of Keras can read.

Keras writes every argument of every layer, and refuses arguments that it does not know. So a file
names each argument that Keras has gained by the time of writing, used or not, and older versions
cannot read it. Here arguments are left out that are off (None or False) and are so by default: a
reader that knows the argument has the same default, and one that does not has no such thing.
"""

from __future__ import annotations

import functools
import inspect
import json
import operator
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from tf_equirl._files import write_atomically

CONFIG = "config.json"
"""The file inside a `.keras` file that describes the layers."""

# "dense" and "conv2d_7"; the first of a process has no number. "float32" is no such name: the
# identities of all runs that were ever written rest on what this finds.
_AUTOMATIC_NAME = re.compile(r"([a-z](?:[a-z_]|[123]d)*?)(_\d+)?")

# Means nothing while BatchNormalization's `renorm` is off. Other numbers are always written: some
# classes (Rescaling) cannot be read without them.
_NUMBERS = frozenset({"renorm_momentum"})


# Keras 3.6 writes a name of `initializers.Identity` that it cannot read.
_READABLE = {"IdentityInitializer": "Identity"}


def save(model: keras.Model, path: str | os.PathLike) -> None:
    """Writes a model as a `.keras` file for other versions of Keras, too.

    It is the file of `model.save(path)`, without the arguments of Keras' own layers, initializers
    and so on that are off, as they are by default. An existing file is replaced in one step.

    Args:
        model: Any model that Keras can save.
        path: Where to; it must end in `.keras`.

    Raises:
        ValueError: If `path` ends in something else, or not in a folder that exists.

    Example:
        >>> from tf_equirl import models, zoo
        >>> models.save(zoo.load("catch-ppo-mlp").actor, "actor.keras")
    """
    path = Path(path)
    if path.suffix != ".keras" or not path.parent.is_dir():
        raise ValueError(
            f"`path` must end in .keras, in a folder that exists. Received: path={str(path)!r}"
        )
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / path.name
        model.save(written)
        make_portable(written, path)


def make_portable(source: Path, target: Path) -> None:
    """Copies a `.keras` file without arguments that are off; the weights stay as they are.

    The defaults are those of the installed Keras: it should be the version that wrote the file, or
    a newer one.
    """

    def write(stream: Any) -> None:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(stream, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename == CONFIG:
                    content = json.dumps(portable_config(json.loads(content))).encode()
                new.writestr(entry, content)

    write_atomically(target, write)


def architecture(model: keras.Model) -> dict[str, Any]:
    """`model.to_json()` as nested dicts and lists, without arguments that are off."""
    return portable_config(json.loads(model.to_json()))


def portable_config(config: Any) -> Any:
    """A copy of what Keras serialised, without arguments of Keras' own classes that are off.

    Args:
        config: Nested dicts, lists and tuples, as `keras.saving.serialize_keras_object` returns
            them. Classes that are not Keras' keep all arguments.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(portable_config(value) for value in config)
    if not isinstance(config, dict):
        return config
    config = {key: portable_config(value) for key, value in config.items()}
    if isinstance(config.get("config"), dict):
        if config.get("module") == "keras.initializers":
            config["class_name"] = _READABLE.get(config["class_name"], config["class_name"])
        defaults = _defaults(str(config.get("module")), str(config.get("class_name")))
        config["config"] = {
            key: value
            for key, value in config["config"].items()
            if key not in defaults or repr(value) != repr(defaults[key])  # 0 is not False
        }
    return config


@functools.cache
def _defaults(module: str, name: str) -> dict[str, Any]:
    """What may be left out of a public class of Keras, with its default; of others nothing."""
    if not module.startswith("keras."):
        return {}
    try:
        kind = getattr(operator.attrgetter(module.removeprefix("keras."))(keras), name)
    except AttributeError:  # a class that Keras does not export, such as a functional model
        return {}
    defaults = {p.name: p.default for p in inspect.signature(kind.__init__).parameters.values()}
    return {
        key: value
        for key, value in defaults.items()
        if value is None or value is False or key in _NUMBERS
    }


def same_architecture(one: Any, other: Any) -> bool:
    """Whether two descriptions by `architecture`, maybe of different versions of Keras and of this
    package, are of one architecture: names, and the modules where classes stand, do not count.
    """
    return comparable(one) == comparable(other)


def comparable(config: Any) -> Any:
    """What `same_architecture` compares."""
    return nameless(_without_modules(portable_config(config)))


def _without_modules(config: Any) -> Any:
    """A registered class is found by its registered name, wherever it stands."""
    if isinstance(config, (list, tuple)):
        return [_without_modules(value) for value in config]
    if not isinstance(config, dict):
        return config
    moved = {"module"} if config.get("registered_name") else set()
    return {key: _without_modules(value) for key, value in config.items() if key not in moved}


def nameless(value: Any, known: dict[str, int] | None = None) -> Any:
    """`value` without what Keras numbers anew in every process: names and ids of objects.

    A numbered name ("dense_7") becomes the order of its first appearance, so that references to it
    still tell one layer from another.
    """
    known = {} if known is None else known
    if isinstance(value, dict):
        left_out = ("shared_object_id",)
        return {k: nameless(v, known) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [nameless(v, known) for v in value]
    if isinstance(value, str) and (match := _AUTOMATIC_NAME.fullmatch(value)):
        return f"{match[1]} {known.setdefault(value, len(known))}"
    return value
