"""What `gossipfl advise` tries: schedules × protocols × codecs, each by a label, and what makes no sense of it.

schedule   static:KIND   static:FILE   base:DEGREE   one_peer_exponential   random_matching   random_regular:DEGREE   …
codec      fp32   int8   int4   fp16   top_k:SHARE   random_k:SHARE   low_rank:RANK
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gossipfl.config.graph_files import is_graph_file
from gossipfl.core.codecs import CODECS
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.topology import GENERATORS, SCHEDULES
from gossipfl.errors import ConfigError

UNMEASURED: Mapping[str, str] = {
    "alone": "it exchanges nothing",
    "noloco": "without training it is sync: what it gains is not in the averaging, compare arms with training",
}
"""Protocols that are tried only when they are asked for, and why."""
_LINKED = ("static", "random_edge", "graphs")
"""Schedules that keep to the links of `topology.kind`, which their labels may name."""
_WITH_DEGREE = ("base", "random_regular", "epidemic")
_CODEC_FIELDS = {"top_k": "codec_share", "random_k": "codec_share", "low_rank": "codec_rank"}
COMPLETE_MOST = 32
"""Nodes: among more, everybody with everybody is not tried unless it is asked for."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One point of the grid.

    Attributes:
        schedule, protocol, codec: labels.
    """

    schedule: str
    protocol: str
    codec: str

    @property
    def topology(self) -> dict[str, object]:
        """Fields of the section `topology`."""
        name, detail = _split(self.schedule)
        if name == "static":
            return {"schedule": name, "kind": detail or "ring"}
        degree = {"degree": _number(self.schedule, detail, int)} if detail and name in _WITH_DEGREE else {}
        kind = {"kind": detail} if detail and name in _LINKED else {}
        return {"schedule": name, **kind, **degree}

    @property
    def gossip(self) -> dict[str, object]:
        """Fields of the section `gossip`."""
        name, detail = _split(self.codec)
        field = _CODEC_FIELDS.get(name)
        known = {} if field is None or not detail else {field: _number(self.codec, detail, _KINDS[field])}
        return {"protocol": self.protocol, "codec": name, **known}


_KINDS: Mapping[str, type[int] | type[float]] = {"codec_share": float, "codec_rank": int}


def grid(kind: str, nodes: int, wished: Mapping[str, Sequence[str]]) -> list[Combination]:
    """All combinations; first those that are quick as a rule, so that the others need not be run for long.

    Args:
        kind: `topology.kind` of the experiment; a file is kept to.
        wished: labels by schedules, protocols, codecs; what is missing is tried in full.

    Raises:
        ConfigError: a label names nothing.
    """
    schedules = wished.get("schedules") or _schedules(kind, nodes)
    protocols = wished.get("protocols") or [name for name in PROTOCOLS if name not in UNMEASURED]
    codecs = wished.get("codecs") or ["int8", "fp32", "int4", "fp16", "top_k:0.1", "random_k:0.1", "low_rank:4"]
    _check(schedules, SCHEDULES, {*_LINKED, *_WITH_DEGREE}, "--schedules")
    _check(protocols, PROTOCOLS, (), "--protocols")
    _check(codecs, CODECS, _CODEC_FIELDS, "--codecs")
    every = [
        Combination(schedule, protocol, codec) for codec in codecs for protocol in protocols for schedule in schedules
    ]
    for combination in every:
        # a number that is none is found here, before anything is run
        _ = combination.topology, combination.gossip
    return every


def _schedules(kind: str, nodes: int) -> list[str]:
    if is_graph_file(kind):
        return [f"static:{kind}", f"random_edge:{kind}"]
    power = nodes.bit_count() == 1
    kinds = ["ring", *(["torus"] if _is_rectangle(nodes) else []), *(["hypercube"] if power else []), "exponential"]
    kinds += [*(["complete"] if nodes <= COMPLETE_MOST else []), *([] if kind in {*kinds, "complete"} else [kind])]
    drawn = ["random_matching", *(["random_regular"] if nodes > 2 else []), "epidemic"]
    degrees = [f"base:{degree}" for degree in (1, 3) if degree < nodes]
    return [*degrees, *(["one_peer_exponential"] if power else []), *(f"static:{one}" for one in kinds), *drawn]


def _is_rectangle(nodes: int) -> bool:
    return any(nodes % side == 0 for side in range(2, math.isqrt(nodes) + 1))


def _check(labels: Sequence[str], table: Mapping[str, object], detailed: Collection[str], option: str) -> None:
    for label in labels:
        name, detail = _split(label)
        if name not in table:
            raise ConfigError(f"{option}: {label!r} is unknown; known: {', '.join(sorted(table))}")
        if detail and name not in detailed:
            raise ConfigError(f"{option}: {label!r}: {name} takes nothing behind a colon, {name!r} alone was expected")
        if name == "static" and detail and detail not in GENERATORS and not is_graph_file(detail):
            raise ConfigError(f"{option}: {label!r}: no such graph; known: {', '.join(sorted(GENERATORS))}, or a file")


def _split(label: str) -> tuple[str, str]:
    name, _, detail = label.partition(":")
    return name, detail


def _number(label: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{label!r}: NAME:NUMBER was expected") from None
