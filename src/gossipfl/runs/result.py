"""What came of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gossipfl.errors import StateError


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of it.

    Attributes:
        final: the last evaluation, see `final_figures`; where nodes attack, of the others.
        rounds: exchange rounds, mean over the nodes.
        virtual_s, seconds: virtual and real.
        node_steps: optimizer steps of all nodes; without training, exchange rounds.
        bytes_per_node: encoded, mean.
        epsilon: the largest of a node; None without privacy.
        noise: whose: local (each node's own), central (a trusted server's) or none; two kinds are not to be compared.
        engine: what trained, or how Flower was run; None without training.
        done: the run came to its end; otherwise it can be resumed.
        output: its folder.
        rejected: messages that receivers have dropped, or answers of clients that could not train, by reason.
        flower_bytes: of all nodes, as Flower's server counts: inbound, outbound, total; None elsewhere.
        personal: of the nodes' own models, see `runs.personal`; None where they have none.
        exposed: at level correlated, ε by adversary, the strongest of which `epsilon` is against; None elsewhere.
    """

    final: dict[str, Any]
    rounds: float
    virtual_s: float
    seconds: float
    node_steps: int
    bytes_per_node: float
    epsilon: float | None
    noise: str
    engine: str | None
    done: bool
    output: Path
    rejected: Mapping[str, int] = field(default_factory=dict)
    flower_bytes: Mapping[str, int] | None = None
    exposed: Mapping[str, float] | None = None
    personal: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl simulate --json` and `gossipfl fedavg --json`; seeded noise is not private."""
        counted = {} if self.flower_bytes is None else {"flower_bytes": dict(self.flower_bytes)}
        exposed = {} if self.exposed is None else {"exposed": dict(self.exposed)}
        personal = {} if self.personal is None else {"personal": dict(self.personal)}
        return (
            counted
            | exposed
            | personal
            | {
                "final": self.final,
                "rounds": self.rounds,
                "virtual_s": self.virtual_s,
                "seconds": self.seconds,
                "node_steps": self.node_steps,
                "node_steps_per_s": round(self.node_steps / self.seconds, 3) if self.seconds else None,
                "bytes_per_node": self.bytes_per_node,
                "epsilon": self.epsilon,
                "noise": self.noise,
                "engine": self.engine,
                "rejected": dict(self.rejected),
                "private": False,
                "done": self.done,
                "output": self.output,
            }
        )

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], output: Path) -> Self:
        """A result that was recorded in a run's folder.

        Raises:
            StateError: another version wrote it.
        """
        names = (
            "final",
            "rounds",
            "virtual_s",
            "seconds",
            "node_steps",
            "bytes_per_node",
            "epsilon",
            "noise",
            "engine",
            "done",
            "rejected",
        )
        missing = sorted(set(names) - set(recorded))
        if missing:
            raise StateError(f"{output}: result.json has no {missing[0]!r}: another version of gossipfl wrote it")
        return cls(
            **{name: recorded[name] for name in names},
            output=output,
            flower_bytes=recorded.get("flower_bytes"),
            exposed=recorded.get("exposed"),
            personal=recorded.get("personal"),
        )


def final_figures(last: dict[str, Any]) -> dict[str, Any]:
    """The figures of a line of metrics.jsonl that a run is judged by, on the common test set where there is one."""
    # only of a schedule that averages exactly, and only where that was recorded
    exact = {"exact": last["exact"]} if last.get("exact") is not None else {}
    if "own_loss" not in last:
        return {"consensus_distance": last["consensus_distance"], "mean_drift": last["mean_drift"]} | exact
    part = "test" if last["test_loss"] is not None else "own"
    figure = "accuracy" if last[f"{part}_accuracy"] is not None else "loss"
    found: dict[str, Any] = {
        f"mean_{figure}": last[f"{part}_{figure}"],
        "worst": last["worst"],
        "mean_model": last[f"mean_model_{figure}"],
        "consensus_distance": last["consensus_distance"],
    }
    always = {f"{part}_loss", f"{part}_accuracy"}
    measures = {key: value for key, value in last.items() if key.startswith(f"{part}_") and key not in always}
    found |= {f"mean_{key.removeprefix(f'{part}_')}": value for key, value in measures.items()}
    sometimes = ("averaging_error", "trigger_success")
    return found | {key: last[key] for key in sometimes if key in last} | exact
