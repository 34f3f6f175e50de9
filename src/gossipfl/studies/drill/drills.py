"""Drills: a fault strikes nodes that run, is mended, and it is seen how long they take to be as before.

calm ──> strike ── others go on ──> mend ──> all go on, all hear all, states as close as in calm ──> seconds to recover

What no fault may do is looked at all the time: ε never falls, no phase is lost but the one in flight.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gossipfl.errors import GossipflError
from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground, open_ground

NAMES = ("n0", "n1", "n2", "n3")
QUICK = ("kill", "stop", "partition", "latency", "half-open", "disk", "garbage", "restart")
"""What fits into five minutes."""
RECOVER_S = 90.0
"""Seconds after a fault is mended by which all has to be as before."""
BEGIN_S = 120.0
CALM_LOOKS = 10
CALM_S = 0.2
FARTHER = 2.0
"""Times the largest disagreement in the calm before by which nodes may disagree when all is as before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one drill.

    Attributes:
        passed: nothing was wrong; None: it could not be held here.
        seconds_to_recover: from mending until all was as before; None: not in time, or not held.
        wrong: what was not as it should be, or what was missing to hold it.
        figures: what was measured; apart: the states' disagreement when the fault was mended, in times of the largest
            in the calm before; grown_bytes: by which a flooded node has grown at most.
    """

    name: str
    text: str
    passed: bool | None
    seconds_to_recover: float | None
    wrong: Sequence[str] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drilled:
    """What came of all.

    Attributes:
        lines: what joined the nodes, namespaces or loopback.
        exchanges: mixings of all nodes.
        memory_bytes: of the largest node at the start and at the end.
        lost: phases that were done and are gone, those in flight at a restart not counted.
    """

    drills: Sequence[Outcome]
    lines: str
    seconds: float
    exchanges: int
    restarts: int
    memory_bytes: tuple[int, int]
    lost: int
    output: Path

    @property
    def passed(self) -> bool:
        """Nothing was wrong in any that was held, and one was held at least."""
        held = [drill.passed for drill in self.drills if drill.passed is not None]
        return bool(held) and all(held)

    @property
    def faults(self) -> int:
        """How often one struck."""
        return sum(drill.passed is not None for drill in self.drills)

    @property
    def not_held(self) -> tuple[str, ...]:
        """Those for which something is missing here: neither passed nor failed."""
        return tuple(drill.name for drill in self.drills if drill.passed is None)

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl drill --json`."""
        return {
            "drills": [
                asdict(drill) | {"wrong": list(drill.wrong), "figures": dict(drill.figures)} for drill in self.drills
            ],
            "passed": self.passed,
            "not_held": list(self.not_held),
            "lines": self.lines,
            "seconds": self.seconds,
            "exchanges": self.exchanges,
            "faults": self.faults,
            "restarts": self.restarts,
            "memory_bytes_start": self.memory_bytes[0],
            "memory_bytes_end": self.memory_bytes[1],
            "lost": self.lost,
            "output": str(self.output),
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """Which drills are held.

    Attributes:
        faults: in order.
        soak_s: then go on with faults drawn by `seed` until so many seconds are over.
        namespaces: a network namespace for each node; else loopback.
        recover_s: seconds after a fault is mended by which all has to be as before.
    """

    faults: Sequence[Fault]
    soak_s: float = 0.0
    namespaces: bool = True
    seed: int = 0
    recover_s: float = RECOVER_S


def hold_drills(folder: Path, wish: Wish, show: Callable[[Outcome], None] = lambda _: None) -> Drilled:
    """Holds drills on four real node processes.

    Args:
        folder: new and empty; gets the study, its nodes' states and logs.
        show: told of every outcome.

    Raises:
        GossipflError: the nodes did not come to run at all.
        NetworkError: this machine has no such network.
    """
    started = time.monotonic()
    with open_ground(folder, NAMES, namespaces=wish.namespaces, seed=wish.seed, lasts_s=wish.soak_s) as ground:
        _until_calm(ground)
        before = _memory(ground)
        outcomes = []
        for fault in _order(wish, ground, started):
            outcomes.append(_drill(ground, fault, wish.recover_s))
            show(outcomes[-1])
        return Drilled(
            outcomes,
            "namespaces" if wish.namespaces else "loopback",
            round(time.monotonic() - started, 1),
            sum(sight.rows for sight in ground.sights.values()),
            ground.restarts,
            (before, _memory(ground)),
            sum(sight.lost for sight in ground.sights.values()),
            folder,
        )


def _order(wish: Wish, ground: Ground, started: float) -> Iterator[Fault]:
    yield from wish.faults
    draw = random.Random(wish.seed)  # noqa: S311
    # what cannot be held takes no time: it would be drawn for ever
    held = [fault for fault in wish.faults if fault.lacks(ground) is None]
    while held and time.monotonic() - started < wish.soak_s:
        yield draw.choice(held)


def _until_calm(ground: Ground) -> None:
    """Waits until all run."""
    if not ground.until(lambda: ground.goes_on(dict.fromkeys(ground.names, 0)), BEGIN_S):
        last = {name: (ground.log(name).strip().splitlines() or ["(nothing)"])[-1] for name in ground.names}
        raise GossipflError(f"the nodes did not come to run within {BEGIN_S:g} s; their last words: {last}")


def _calm(ground: Ground) -> float:
    """How far states are apart at most while nothing strikes: less from phase to phase, as they settle."""
    apart = []
    for _ in range(CALM_LOOKS):
        ground.wait(CALM_S)
        apart.append(ground.disagreement())
    return max(apart)


def _drill(ground: Ground, fault: Fault, recover_s: float) -> Outcome:
    if lacks := fault.lacks(ground):
        return Outcome(fault.name, fault.text, None, None, [lacks])
    calm = _calm(ground)
    ground.begin()
    fell, lost = _sums(ground)
    _strike(ground, fault)
    ground.figures["apart"] = round(ground.disagreement() / calm, 2)
    fault.mend(ground)
    ground.look()
    mended, marks = time.monotonic(), ground.phases()
    recovered = ground.until(lambda: ground.goes_on(marks) and ground.disagreement() <= FARTHER * calm, recover_s)
    seconds = round(time.monotonic() - mended, 1)
    if not recovered:
        ground.note(f"not as before within {recover_s:g} s: {_state(ground, marks, calm)}")
    now_fell, now_lost = _sums(ground)
    if now_fell > fell:
        ground.note("ε fell")
    if now_lost > lost:
        ground.note(f"{now_lost - lost} phases were lost")
    wrong, figures = tuple(ground.wrong), dict(ground.figures)
    return Outcome(fault.name, fault.text, not wrong, seconds if recovered else None, wrong, figures)


def _strike(ground: Ground, fault: Fault) -> None:
    hurt = {ground.names[place] for place in fault.hurt}
    fault.strike(ground)
    ground.struck()
    ground.wait(fault.hold_s)
    for name in ground.names:
        if name not in hurt and ground.progress(name) <= 0:
            ground.note(f"{name} did not go on meanwhile")


def _state(ground: Ground, marks: Mapping[str, int], calm: float) -> str:
    nodes = ", ".join(
        f"{name} {'up' if ground.is_up(name) else 'down'} {ground.sights[name].phase - marks[name]} phases on, "
        f"heard {dict(ground.sights[name].heard)}"
        for name in ground.names
    )
    return f"{nodes}; states {ground.disagreement():.3g} apart, in calm {calm:.3g}"


def _sums(ground: Ground) -> tuple[int, int]:
    sights = ground.sights.values()
    return sum(sight.fell for sight in sights), sum(sight.lost for sight in sights)


def _memory(ground: Ground) -> int:
    return max(ground.memory_bytes(name) for name in ground.names)
