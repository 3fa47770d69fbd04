"""Members of a run: a seed each, and a config that may differ from those of the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tf_equirl._checks import instance, refuse, shown
from tf_equirl.training.config import Config

_Config = TypeVar("_Config", bound=Config)
PerMember = Mapping[str, Callable[[Any], Hashable]]
"""Fields that may differ from member to member, and what of each value the program depends on."""


class Member(NamedTuple):
    """One of those that are trained side by side.

    Attributes:
        config: The number of its config.
        seed: Its seed.
    """

    config: int
    seed: int


def members_of(seeds: tuple[int, ...], configs: int) -> tuple[Member, ...]:
    """All seeds with the first config, then with the second one, and so on."""
    return tuple(Member(config, seed) for config in range(configs) for seed in seeds)


def part_of(config: int, num_seeds: int) -> slice:
    """The columns of a config's members."""
    return slice(config * num_seeds, (config + 1) * num_seeds)


def nothing(value: Any) -> None:
    """What a program depends on of a field that it takes as data."""


def structure(config: Config, per_member: PerMember) -> dict[str, Any]:
    """What a program depends on of a config, by field: "learning_rate", "agent.learning_rate".

    Args:
        config: The config.
        per_member: Fields that the program takes as data.
    """
    return {
        name: per_member[name](value) if name in per_member else value
        for name, value in _flat(config.to_json())
    }


def as_configs(
    config: _Config | Sequence[_Config] | None, kind: type[_Config]
) -> tuple[_Config, tuple[_Config, ...] | None]:
    """The config that a trainer was given, or the first of several, and the several.

    Args:
        config: A config, a list of configs, or None for the defaults.
        kind: Its class.

    Raises:
        ValueError: If it is something else, or an empty list.
    """
    if config is None or isinstance(config, kind):
        return kind() if config is None else config, None
    rule = f"a {kind.__name__} or a list of them, at least one"
    if not isinstance(config, Sequence) or isinstance(config, str) or not config:
        refuse("config", rule, config)
    for number, each in enumerate(config):
        instance(f"config[{number}]", each, kind)
    return config[0], tuple(config)


def check_configs(configs: Sequence[Config], per_member: PerMember) -> None:
    """Checks that some configs can be those of members of one program.

    Raises:
        ValueError: If they differ in a field that is not data of the program, or
            in whether they have one that may be missing.
    """
    first, *others = [structure(config, per_member) for config in configs]
    for number, other in enumerate(others, start=1):
        for name in {**first, **other}:
            here, there = other.get(name), first.get(name)
            if here == there:
                continue
            values = [dict(_flat(c.to_json())).get(name) for c in (configs[0], configs[number])]
            rule = f"differ in nothing but {', '.join(per_member) or 'their seeds'}"
            if name in per_member:
                rule = f"all have a {name} other than 0 and None, or none of them"
            raise ValueError(
                f"configs that are trained side by side must {rule}. Received: "
                f"{name}={shown(values[0])} in config[0], {name}={shown(values[1])} in "
                f"config[{number}]"
            )


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
