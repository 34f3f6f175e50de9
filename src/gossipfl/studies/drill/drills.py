"""Drills: a fault strikes nodes that run, is mended, and it is seen how long they take to be as before.

calm ──> strike ── others go on ──> mend ──> all go on, all hear all, states as close as in calm ──> seconds to recover

What no fault may do is looked at all the time: ε never falls, no phase is lost but the one in flight.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gossipfl.errors import GossipflError
from gossipfl.studies.drill.faults import FAULTS
from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground, open_ground

NAMES = ("n0", "n1", "n2", "n3")
QUICK = ("kill", "stop", "partition", "latency", "half-open", "disk", "garbage", "restart")
"""What fits into five minutes."""
RECOVER_S = 90.0
"""Seconds after a fault is mended by which all has to be as before."""
BEGIN_S = 120.0
CALM_LOOKS = 10
CALM_S = 0.5
PHASES = 3
"""That every node has to do after a fault is mended."""
HEARD_PHASES = 20
"""Own phases by which every neighbor must have been heard again: nodes train at their own pace."""
FARTHER = 2.0
"""Times the largest disagreement in calm by which nodes may disagree when all is as before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one drill.

    Attributes:
        passed: nothing was wrong; None: it could not be held here.
        seconds_to_recover: from mending until all was as before; None: not in time, or not held.
        wrong: what was not as it should be, or what was missing to hold it.
    """

    name: str
    text: str
    passed: bool | None
    seconds_to_recover: float | None
    wrong: Sequence[str] = ()


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

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl drill --json`."""
        return {
            "drills": [asdict(drill) | {"wrong": list(drill.wrong)} for drill in self.drills],
            "passed": self.passed,
            "lines": self.lines,
            "seconds": self.seconds,
            "exchanges": self.exchanges,
            "faults": sum(drill.passed is not None for drill in self.drills),
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
        faults: their names, in order.
        soak_s: then go on with faults drawn by `seed` until so many seconds are over.
        namespaces: a network namespace for each node; else loopback.
    """

    faults: Sequence[str]
    soak_s: float = 0.0
    namespaces: bool = True
    seed: int = 0


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
        calm = _until_calm(ground)
        before = _memory(ground)
        outcomes = []
        for fault in _order(wish, started):
            outcomes.append(_drill(ground, fault, calm))
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


def _order(wish: Wish, started: float) -> Any:  # noqa: ANN401
    yield from (FAULTS[name] for name in wish.faults)
    draw = random.Random(wish.seed)  # noqa: S311
    while time.monotonic() - started < wish.soak_s:
        yield FAULTS[draw.choice(list(wish.faults))]


def _until_calm(ground: Ground) -> float:
    """Waits until all run; how far their states are apart then, at most."""
    if not _until(ground, lambda: all(_hears_all(ground, name) for name in ground.names), BEGIN_S):
        last = {name: (ground.log(name).strip().splitlines() or ["(nothing)"])[-1] for name in ground.names}
        raise GossipflError(f"the nodes did not come to run within {BEGIN_S:g} s; their last words: {last}")
    apart = []
    for _ in range(CALM_LOOKS):
        ground.wait(CALM_S)
        apart.append(ground.disagreement())
    return max(apart)


def _drill(ground: Ground, fault: Fault, calm: float) -> Outcome:
    if lacks := fault.lacks(ground):
        return Outcome(fault.name, fault.text, None, None, [lacks])
    ground.look()
    fell, lost = _sums(ground)
    wrong = _strike(ground, fault)
    fault.mend(ground)
    mended, marks = time.monotonic(), _phases(ground)
    recovered = _until(ground, lambda: _as_before(ground, marks, calm), RECOVER_S)
    seconds = round(time.monotonic() - mended, 1)
    if not recovered:
        wrong.append(f"not as before within {RECOVER_S:g} s: {_state(ground, marks, calm)}")
    now_fell, now_lost = _sums(ground)
    if now_fell > fell:
        wrong.append("ε fell")
    if now_lost > lost:
        wrong.append(f"{now_lost - lost} phases were lost")
    wrong += [text for name, text in ground.wrong if name == fault.name]
    ground.wrong.clear()
    return Outcome(fault.name, fault.text, not wrong, seconds if recovered else None, wrong)


def _strike(ground: Ground, fault: Fault) -> list[str]:
    hurt = {ground.names[place] for place in fault.hurt}
    before = _phases(ground)
    fault.strike(ground)
    ground.wait(fault.hold_s)
    return [
        f"{name} did not go on meanwhile"
        for name in ground.names
        if name not in hurt and ground.sights[name].phase <= before[name]
    ]


def _as_before(ground: Ground, marks: Mapping[str, int], calm: float) -> bool:
    goes_on = all(
        ground.is_up(name) and ground.sights[name].phase >= marks[name] + PHASES and _hears_all(ground, name)
        for name in ground.names
    )
    return goes_on and ground.disagreement() <= FARTHER * calm


def _hears_all(ground: Ground, name: str) -> bool:
    heard = ground.sights[name].heard
    return all(heard.get(other, HEARD_PHASES + 1) <= HEARD_PHASES for other in ground.names if other != name)


def _state(ground: Ground, marks: Mapping[str, int], calm: float) -> str:
    nodes = ", ".join(
        f"{name} {'up' if ground.is_up(name) else 'down'} {ground.sights[name].phase - marks[name]} phases on, "
        f"heard {dict(ground.sights[name].heard)}"
        for name in ground.names
    )
    return f"{nodes}; states {ground.disagreement():.3g} apart, in calm {calm:.3g}"


def _phases(ground: Ground) -> dict[str, int]:
    ground.look()
    return {name: sight.phase for name, sight in ground.sights.items()}


def _sums(ground: Ground) -> tuple[int, int]:
    sights = ground.sights.values()
    return sum(sight.fell for sight in sights), sum(sight.lost for sight in sights)


def _memory(ground: Ground) -> int:
    return max(ground.memory_bytes(name) for name in ground.names if ground.is_up(name))


def _until(ground: Ground, condition: Callable[[], bool], limit_s: float) -> bool:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        ground.wait(0.2)
    return True
