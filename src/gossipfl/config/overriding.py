"""Fields of a mapping, changed one by one: `--set a.b=c`, and the `set` of an arm.

Whatever is changed, sections on the way are made; what stands beside it stays.
"""

from collections.abc import Iterator, Mapping, Sequence

from gossipfl.config.yaml_text import parse_value
from gossipfl.errors import ConfigError

Raw = dict[str, object]


def overridden(raw: Raw, overrides: Sequence[str]) -> Raw:
    """A copy with `a.b=value` overrides applied, one after the other.

    Raises:
        ConfigError: an override is no such thing, its value no YAML, or it leads into what has no fields.
    """
    for override in overrides:
        field, separator, value = override.partition("=")
        keys = field.strip().split(".")
        if not separator or not all(keys):
            raise ConfigError(f"--set {override!r}: FIELD=VALUE was expected, for example training.phases=5")
        raw = _with(raw, keys, parse_value(value, source=f"--set {override!r}"), f"--set {override!r}")
    return raw


def changed(raw: Raw, changes: Mapping[str, object], *, source: str) -> Raw:
    """A copy with changes applied: `{topology.kind: ring}` or `{topology: {kind: ring}}`, which say the same.

    Args:
        source: what error messages call the changes.

    Raises:
        ConfigError: a field without a name, or a change leads into what has no fields.
    """
    for keys, value in leaves(changes):
        if not all(keys):
            raise ConfigError(f"{source}: {'.'.join(keys)!r}, a field was expected, for example training.phases")
        raw = _with(raw, keys, value, source)
    return raw


def leaves(changes: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every field that is changed, its keys from the top, and its value; an empty mapping is a value."""
    for key, value in changes.items():
        first = tuple(str(key).split("."))
        if isinstance(value, dict) and value:
            yield from (((*first, *rest), inner) for rest, inner in leaves(value))
        else:
            yield first, value


def string_keys(mapping: Mapping[object, object]) -> Raw:
    """The same mapping, its keys as text: YAML has numbers for keys, too."""
    return {str(key): value for key, value in mapping.items()}


def _with(raw: Raw, keys: Sequence[str], value: object, source: str) -> Raw:
    """A copy in which the field that `keys` lead to is `value`."""
    first, *rest = keys
    if not rest:
        return {**raw, first: value}
    inner = raw.get(first)
    if inner is not None and not isinstance(inner, dict):
        raise ConfigError(f"{source}: {first} holds {inner!r}, it has no fields of its own")
    return {**raw, first: _with(string_keys(inner or {}), rest, value, source)}
