"""Tables of strategies: a configuration names one, or a user's own as `module:callable`."""

import difflib
import importlib
from collections.abc import Mapping
from functools import reduce
from typing import TypeVar, cast

from gossipfl.errors import ConfigError

T = TypeVar("T")


def resolve(table: Mapping[str, T], name: str, *, field: str) -> T:
    """The entry called `name`, or what `module:callable` imports.

    Args:
        table: implementations by their configuration name.
        name: as the configuration gives it.
        field: dotted field it stands in, for the error.

    Raises:
        ConfigError: unknown; the message names the nearest name and all names.
    """
    if name in table:
        return table[name]
    if ":" in name:
        return cast("T", _imported(name, field))
    nearest = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise ConfigError(f"{field}: {name!r} is unknown; {hint}known: {', '.join(sorted(table))}, or module:callable")


def _imported(name: str, field: str) -> object:
    module, _, path = name.partition(":")
    try:
        found: object = reduce(getattr, path.split("."), importlib.import_module(module))
    # ValueError: an empty module name
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{field}: {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ConfigError(f"{field}: {name!r} is a {type(found).__name__}, a callable was expected")
    return found
