"""When nodes are up and who can reach whom: changes over time, from random churn, a trace, or planned partitions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from gossipfl.config.simulation import AvailabilityConfig, PartitionConfig
from gossipfl.config.yaml_text import read_text
from gossipfl.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Outage:
    """A node is down from one time until another; None: it does not come back."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    node: str
    from_s: float
    until_s: float | None = None


Outages = Callable[[str, float], Outage | None]
"""(node, time it came up) to its next outage."""
BuildOutages = Callable[[AvailabilityConfig, Sequence[str], Path, np.random.Generator], Outages]
"""From settings, names, folder of experiment.yaml, and a generator."""


def always(
    config: AvailabilityConfig,
    names: Sequence[str],  # noqa: ARG001
    folder: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> Outages:
    """No node ever goes down that has come."""
    return _after_joining(config, lambda _node, _now: None)


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

    return _after_joining(config, next_outage)


def trace(
    config: AvailabilityConfig,
    names: Sequence[str],
    folder: Path,
    rng: np.random.Generator,  # noqa: ARG001
) -> Outages:
    """As a file says; times down of one node that overlap are one.

    Raises:
        ConfigError: the file is missing, a line is no outage, or a node is unknown.
    """
    planned: dict[str, list[Outage]] = {}
    away = [Outage(node, 0.0, joins_s) for node, joins_s in config.joins.items()]
    known = [*away, *_outages(folder / str(config.trace), set(names))]
    for outage in sorted(known, key=lambda outage: outage.from_s):
        _append(planned.setdefault(outage.node, []), outage)

    def next_outage(node: str, now: float) -> Outage | None:
        return next((outage for outage in planned.get(node, ()) if outage.from_s >= now), None)

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


def _after_joining(config: AvailabilityConfig, outages: Outages) -> Outages:
    """Nodes that join are not there before; then as the others."""

    def next_outage(node: str, now: float) -> Outage | None:
        joins_s = config.joins.get(node, 0.0)
        return Outage(node, now, joins_s) if now < joins_s else outages(node, now)

    return next_outage


def _append(outages: list[Outage], later: Outage) -> None:
    """One that begins no sooner than the last; if the node is still down then, the last goes on."""
    if not outages or (outages[-1].until_s is not None and outages[-1].until_s <= later.from_s):
        outages.append(later)
        return
    ends = (outages[-1].until_s, later.until_s)
    outages[-1] = replace(outages[-1], until_s=None if None in ends else max(end for end in ends if end is not None))


def _outages(path: Path, names: set[str]) -> Iterator[Outage]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            outage = TypeAdapter(Outage).validate_json(line)
        except ValidationError:
            raise ConfigError(
                f'{path}: line {number}: {{"node", "from_s", "until_s"}} was expected, not {line[:60]!r}'
            ) from None
        if outage.node not in names:
            raise ConfigError(f"{path}: line {number}: {outage.node!r} is no node of this simulation")
        if outage.from_s < 0 or (outage.until_s is not None and outage.until_s <= outage.from_s):
            raise ConfigError(f"{path}: line {number}: until_s has to lie after from_s, and both from 0 on")
        yield outage
