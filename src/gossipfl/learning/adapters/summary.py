"""What an adapter came to, in one line and as a record: chosen layers must never be a surprise."""

from collections import Counter
from dataclasses import dataclass

from gossipfl.config.model import AdapterConfig
from gossipfl.core.factors import CORE, LEFT, MERGED, RIGHT
from gossipfl.state import AdapterSpec

_SHOWN = 12
"""Endings in a line."""
_SUFFIXES = (LEFT, RIGHT, MERGED, CORE)


@dataclass(frozen=True, slots=True)
class AdapterSummary:
    """The adapter of a run.

    Attributes:
        kind: `adapter.kind`.
        rank: of each layer's update; None where there is none.
        layers: names of the adapted layers; empty where all weights are trained as they are.
        endings: the ends of their names, and how many have each.
        values: numbers that are trained and kept, all segments.
        sent: of these, those that are exchanged.
    """

    kind: str
    rank: int | None
    layers: tuple[str, ...]
    endings: dict[str, int]
    values: int
    sent: int

    def __str__(self) -> str:
        """For people."""
        shown = list(self.endings)[:_SHOWN] + (["…"] if len(self.endings) > _SHOWN else [])
        count = f"{len(self.layers)} layer{'s' if len(self.layers) > 1 else ''}"
        where = f" of rank {self.rank} on {count} ({', '.join(shown)})" if self.layers else ""
        kept = "" if self.sent == self.values else f", {self.sent:,} of them exchanged"
        return f"adapter: {self.kind}{where}: {self.values:,} values{kept}"


def summarize(config: AdapterConfig, spec: AdapterSpec) -> AdapterSummary:
    """The summary of an adapter with this layout."""
    names = (segment.name for segment in spec.segments)
    layers = tuple(dict.fromkeys(name.removesuffix(end) for name in names for end in _SUFFIXES if name.endswith(end)))
    return AdapterSummary(
        kind=config.kind,
        rank=config.rank if layers else None,
        layers=layers,
        endings=dict(Counter(layer.rpartition(".")[2] for layer in layers)),
        values=spec.size,
        sent=spec.shared().size,
    )
