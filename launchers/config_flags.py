"""Flags from a config class; some may take lists of values, to sweep over.

A config that is made of others, a `DynaConfig`, has a flag for each hyperparameter of all of them,
called as its `flat` calls it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from absl import flags

from tf_equirl._checks import within
from tf_equirl.training.config import field_text

from . import common

_READERS = {"int": int, "float": float, "str": str, "bool": flags.BooleanParser().parse}
_LISTED = {"int": "integers", "float": "numbers", "str": "texts", "bool": "true or false"}


class Field(NamedTuple):
    """A hyperparameter that a flag stands for.

    Attributes:
        type: Its type, as written in the source.
        default: Its value by default.
        text: What the config's docstring says of it.
    """

    type: str
    default: Any
    text: str


def config_fields(config_class: type) -> dict[str, Field]:
    """The hyperparameters of a config by the names of their flags."""
    config = config_class()
    if not hasattr(config, "flat"):
        texts = _attribute_docs(config_class)
        return {
            f.name: Field(str(f.type), f.default, texts.get(f.name, ""))
            for f in dataclasses.fields(config_class)
        }
    own = {f.name: getattr(config, f.name) for f in dataclasses.fields(config_class)}
    parts = {name: part for name, part in own.items() if dataclasses.is_dataclass(part)}
    # A part's field is called by its own name, or with the part's before it.
    known = {}
    for part_name, part in parts.items():
        for name, field in config_fields(type(part)).items():
            known[name] = known.get(name, field)
            text = f"of the {part_name}: {field.text}"
            known[f"{part_name}_{name}"] = field._replace(text=text)
    texts = _attribute_docs(config_class)
    for field in dataclasses.fields(config_class):
        known[field.name] = Field(str(field.type), field.default, texts.get(field.name, ""))
    return {name: known[name]._replace(default=value) for name, value in config.flat().items()}


def define_config_flags(
    config_class: type,
    swept: Collection[str] = (),
    texts: Mapping[str, str] | None = None,
    known: Collection[str] = (),
) -> None:
    """Defines a flag for every hyperparameter of a config, documented by the class docstring.

    Args:
        config_class: The class.
        swept: Names of fields whose flags take a list of values, "none" among them for an optional
            field.
        texts: What stands in the place of the docstring's texts, by name.
        known: Names of fields that have a flag already, that of another config.
    """
    for name, field in config_fields(config_class).items():
        if name in known:
            continue
        text = (texts or {}).get(name, field.text)
        if name in swept:
            flags.DEFINE_list(name, [field_text(field.default)], text)
            # So that --name and --noname are understood too.
            flags.FLAGS[name].boolean = field.type in ("bool", "bool | None")
        elif field.type in ("bool", "bool | None"):
            flags.DEFINE_bool(name, field.default, text)
        elif isinstance(field.default, tuple):
            flags.DEFINE_list(name, [str(x) for x in field.default], text)
        elif field.type in ("float", "float | None"):
            flags.DEFINE_float(name, field.default, text)
        elif field.type in ("str", "str | None"):
            flags.DEFINE_string(name, field.default, text)
        else:
            flags.DEFINE_integer(name, field.default, text)


def define_base_flags() -> None:
    """Defines `--config` and `--preset`, which say what flags that are not given are."""
    flags.DEFINE_string(
        "config",
        None,
        "JSON file of a config, such as best.json of a search or run.json of a run; other flags "
        "change it",
    )
    flags.DEFINE_string(
        "preset", None, "config with a name, see docs/tuning.md; other flags change it"
    )


def base_config(config_class: Any, found: Any = None) -> Any:
    """The config that `--config` or `--preset` names, or else what is found; flags change it.

    Args:
        config_class: The class of the config.
        found: The config of a run that is resumed, or None.

    Raises:
        ValueError: If both are given, or one beside a run that is resumed; if the file or the
            preset is none of this class.
    """
    file, preset = flags.FLAGS.config, flags.FLAGS.preset
    if sum(x is not None for x in (file, preset, found)) > 1:
        raise ValueError(
            "give one of --config, --preset and --resume. Received: "
            f"--config={file} --preset={preset} --resume={str(found is not None).lower()}"
        )
    if preset is not None:
        return config_class.preset(preset)
    if file is None:
        return found
    content = common.read_json("config", file)
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        content = content["config"]  # of a run
    with within(f"config={file}"):
        return config_class.from_json(content)


def config_from_flags(config_class: type, base: Any = None) -> Any:
    """The config that the flags describe.

    Args:
        config_class: The dataclass that `define_config_flags` was called with.
        base: A config to start from; only flags given on the command line change it then.

    Raises:
        ValueError: For a list flag that holds no integers, or a field that breaks its rule.
    """
    fields = fields_from_flags(config_class, only_given=base is not None)
    return config_class(**fields) if base is None else dataclasses.replace(base, **fields)


def fields_from_flags(
    config_class: type, only_given: bool, swept: Collection[str] = ()
) -> dict[str, Any]:
    """Values of a config's hyperparameters by name; of those in `swept`, tuples of values.

    Args:
        config_class: The dataclass that `define_config_flags` was called with.
        only_given: Leave out flags that are not on the command line.
        swept: As there.

    Raises:
        ValueError: For a list flag that holds something else than its field does.
    """
    values = {}
    for name, field in config_fields(config_class).items():
        if only_given and not common.given(name):
            continue
        value = flags.FLAGS[name].value
        if name in swept:
            value = _parse_values(name, field.type, value)
        elif isinstance(field.default, tuple):
            value = common.parse_integers(name, value)
        values[name] = value
    return values


def _parse_values(name: str, of: str, texts: list[str]) -> tuple[Any, ...]:
    kind, _, optional = of.partition(" | ")
    try:
        values = tuple(
            None if optional and text.lower() == "none" else _READERS[kind](text) for text in texts
        )
    except ValueError:
        values = ()
    if not values or len(set(values)) < len(values):
        rule = f"{_LISTED[kind]}{' or none' if optional else ''}"
        raise ValueError(f"{name} must list {rule}, each once. Received: {name}={','.join(texts)}")
    return values


def _attribute_docs(config_class: type) -> dict[str, str]:
    """Texts of the `Attributes:` sections of a class and those it inherits from, by name."""
    texts = {}
    for each in reversed(config_class.__mro__):
        # Python 3.13 takes the indentation off, the others do not.
        section = inspect.cleandoc(each.__doc__ or "").partition("Attributes:")[2]
        entries = re.findall(r"^ +(\w[\w, ]*): (.+(?:\n {8,}.+)*)", section, re.MULTILINE)
        for names, text in entries:
            text = " ".join(text.split())
            texts.update(dict.fromkeys(names.split(", "), text[0].lower() + text[1:]))
    return texts
