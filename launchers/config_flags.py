"""Flags from a config class; some may take lists of values, to sweep over."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any

from absl import flags

from tf_equirl.experiments.sweeps import as_text

from . import common

_READERS = {"int": int, "float": float, "str": str, "bool": flags.BooleanParser().parse}
_LISTED = {"int": "integers", "float": "numbers", "str": "texts", "bool": "true or false"}


def define_config_flags(config_class: type, swept: Collection[str] = ()) -> None:
    """Defines a flag for every field of a config dataclass, documented by the class docstring.

    Args:
      config_class: the dataclass.
      swept: names of fields whose flags take a list of values, "none" among them for an optional
        field.
    """
    help_texts = _attribute_docs(config_class)
    for field in dataclasses.fields(config_class):
        text = help_texts.get(field.name, "")
        if field.name in swept:
            flags.DEFINE_list(field.name, [as_text(field.default)], text)
            # So that --name and --noname are understood too.
            flags.FLAGS[field.name].boolean = field.type in ("bool", "bool | None")
        elif field.type in ("bool", "bool | None"):
            flags.DEFINE_bool(field.name, field.default, text)
        elif isinstance(field.default, tuple):
            flags.DEFINE_list(field.name, [str(x) for x in field.default], text)
        elif field.type in ("float", "float | None"):
            flags.DEFINE_float(field.name, field.default, text)
        elif field.type in ("str", "str | None"):
            flags.DEFINE_string(field.name, field.default, text)
        else:
            flags.DEFINE_integer(field.name, field.default, text)


def config_from_flags(config_class: type, base: Any = None) -> Any:
    """The config that the flags describe.

    Args:
      config_class: the dataclass that `define_config_flags` was called with.
      base: a config to start from; only flags given on the command line change it then.

    Raises:
      ValueError: for a list flag that holds no integers, or a field that breaks its rule.
    """
    fields = fields_from_flags(config_class, only_given=base is not None)
    return config_class(**fields) if base is None else dataclasses.replace(base, **fields)


def fields_from_flags(
    config_class: type, only_given: bool, swept: Collection[str] = ()
) -> dict[str, Any]:
    """Values of a config's fields by name; of the fields in `swept`, tuples of values.

    Args:
      config_class: the dataclass that `define_config_flags` was called with.
      only_given: leave out flags that are not on the command line.
      swept: as there.

    Raises:
      ValueError: for a list flag that holds something else than its field does.
    """
    fields = {}
    for field in dataclasses.fields(config_class):
        value = flags.FLAGS[field.name].value
        if only_given and not flags.FLAGS[field.name].present:
            continue
        if field.name in swept:
            value = _parse_values(field, value)
        elif isinstance(field.default, tuple):
            value = common.parse_integers(field.name, value)
        fields[field.name] = value
    return fields


def _parse_values(field: dataclasses.Field, texts: list[str]) -> tuple[Any, ...]:
    kind, _, optional = str(field.type).partition(" | ")
    try:
        values = tuple(
            None if optional and text.lower() == "none" else _READERS[kind](text) for text in texts
        )
    except ValueError:
        values = ()
    if not values or len(set(values)) < len(values):
        rule = f"{_LISTED[kind]}{' or none' if optional else ''}"
        raise ValueError(
            f"{field.name} must list {rule}, each once. Received: {field.name}={','.join(texts)}"
        )
    return values


def _attribute_docs(config_class: type) -> dict[str, str]:
    """Texts of the `Attributes:` sections of a class and those it inherits from, by name."""
    texts = {}
    for each in reversed(config_class.__mro__):
        section = (each.__doc__ or "").partition("Attributes:")[2]
        entries = re.findall(r"^ +(\w[\w, ]*): (.+(?:\n {8,}.+)*)", section, re.MULTILINE)
        for names, text in entries:
            texts.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    return texts
