"""Nodes of a simulation that a setting names."""

from collections.abc import Iterable, Sequence

from gossipfl.errors import ConfigError


def refuse_strangers(named: Iterable[str], names: Sequence[str], *, field: str) -> None:
    """Returns if all that are named take part.

    Args:
        names: of the nodes, in order.
        field: where the others are named, for the error.

    Raises:
        ConfigError: one does not.
    """
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise ConfigError(f"{field}: {unknown[0]!r} is no node; they are {names[0]} to {names[-1]}")
