"""When nodes are up and who can reach whom: changes over time, from random churn, a trace, or planned partitions."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gossipfl.config.simulation import AvailabilityConfig, PartitionConfig
from gossipfl.config.yaml_text import read_text
from gossipfl.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Outage:
    """A node is down from one time until another; None: it does not come back."""

    node: str
    from_s: float
    until_s: float | None


Outages = Callable[[str, float], Outage | None]
"""(node, time it came up) to its next outage."""
BuildOutages = Callable[[AvailabilityConfig, Sequence[str], Path, np.random.Generator], Outages]
"""From settings, names, folder of experiment.yaml, and a generator."""


def always(
    config: AvailabilityConfig,  # noqa: ARG001
    names: Sequence[str],  # noqa: ARG001
    folder: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> Outages:
    """No node ever goes down."""
    return lambda _node, _now: None


def churn(
    config: AvailabilityConfig,
    names: Sequence[str],  # noqa: ARG001
    folder: Path,  # noqa: ARG001
    rng: np.random.Generator,
) -> Outages:
    """Up and down for exponentially distributed times, each node by itself."""

    def next_outage(node: str, now: float) -> Outage:
        from_s = now + float(rng.exponential(config.up_s))
        return Outage(node, from_s, from_s + float(rng.exponential(config.down_s)))

    return next_outage


def trace(
    config: AvailabilityConfig,
    names: Sequence[str],
    folder: Path,
    rng: np.random.Generator,  # noqa: ARG001
) -> Outages:
    """As a file says.

    Raises:
        ConfigError: the file is missing, a line is no outage, or a node is unknown.
    """
    path = folder / str(config.trace)
    planned = sorted(_outages(path, set(names)), key=lambda outage: outage.from_s)

    def next_outage(node: str, now: float) -> Outage | None:
        return next((outage for outage in planned if outage.node == node and outage.from_s >= now), None)

    return next_outage


AVAILABILITIES: Mapping[str, BuildOutages] = {"always": always, "churn": churn, "trace": trace}
"""By the name in `simulation.availability.kind`."""


class Partition:
    """A planned partition: who reaches whom while it lasts.

    Raises:
        ConfigError: it names a node that there is not.
    """

    def __init__(self, config: PartitionConfig, names: Sequence[str]) -> None:
        unknown = sorted({name for group in config.groups for name in group} - set(names))
        if unknown:
            raise ConfigError(f"simulation.availability.partitions: {unknown[0]!r} is no node")
        self.from_s, self.until_s = config.from_s, config.until_s
        self._group = {name: number for number, group in enumerate(config.groups) for name in group}

    def cuts(self, sender: str, receiver: str) -> bool:
        """Whether it stands between two nodes."""
        return self._group.get(sender, -1) != self._group.get(receiver, -1)


def _outages(path: Path, names: set[str]) -> Iterator[Outage]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            until_s = found.get("until_s")
            outage = Outage(found["node"], float(found["from_s"]), None if until_s is None else float(until_s))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                f'{path}: line {number}: {{"node", "from_s", "until_s"}} was expected, not {line[:60]!r}'
            ) from None
        if outage.node not in names:
            raise ConfigError(f"{path}: line {number}: {outage.node!r} is no node of this simulation")
        if outage.from_s < 0 or (outage.until_s is not None and outage.until_s <= outage.from_s):
            raise ConfigError(f"{path}: line {number}: until_s has to lie after from_s, and both from 0 on")
        yield outage
