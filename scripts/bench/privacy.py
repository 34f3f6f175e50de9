"""What privacy costs in time and memory: a step, ε, and the noise that neighbors share.

    .venv/bin/python -m scripts.bench.privacy [--repeats 9] [--values 4600000] [--json]

Steps: as in `unit_gradients`, plain and DP-SGD by groups with each way of clipping, in turns; CPU time of one thread,
and how far a step raises resident memory above what it was before. ε: the curve of 100,000 planned steps
in phases of 100, once, and a look at it. Noise: of one phase of level correlated, with two neighbors.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from scripts.bench.meters import forget_peak, resident_bytes
from scripts.bench.unit_gradients import BATCH, PLAN, Ratio, compare, minilm, parts_of, step_of, tiny_llama

from gossipfl.learning.adapters import Adapted
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.clipping_norm import Adapting, Clipping, gradient_noise
from gossipfl.privacy.curve import EpsilonCurve, Kind, Planned
from gossipfl.privacy.mechanisms import RowLosses, build_mechanism
from gossipfl.privacy.pairs.keys import PairSeeds
from gossipfl.privacy.pairs.noise import AgreedNoise
from gossipfl.privacy.pairs.turns import MemoryTurns
from gossipfl.privacy.pld import has_pld
from gossipfl.privacy.sources import ENGINES
from gossipfl.privacy.streams import SecretStream

C = PLAN.max_grad_norm
KIND: Kind = (0.01, 1.0)
STEPS, EVERY, DELTA = 100_000, 100, 1e-5
CLIPPINGS: Mapping[str, Clipping] = {
    "flat": Clipping(C, 1.0),
    "per layer": Clipping(C, 1.0, per_layer=True),
    "quantile": Clipping(C, gradient_noise(1.0, 1.6), adapting=Adapting(0.5, 0.2, 1.6)),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A way to take a step.

    Attributes:
        time: CPU time, and its ratio to a plain step's.
        peak_mb: of resident memory above what was resident before, median.
    """

    time: Ratio
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Curve:
    """ε of `STEPS` steps.

    Attributes:
        seconds: CPU, once.
        points: of the grid.
        look_us: CPU time of a look.
        epsilon: at the end.
    """

    accountant: str
    seconds: float
    points: int
    look_us: float
    epsilon: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Of one phase.

    Attributes:
        own_ms: CPU time of noise from the operating system alone, as at level update.
        shared_ms: of that shared with the neighbors, on top.
    """

    values: int
    neighbors: int
    own_ms: float
    shared_ms: float


def steps_of(name: str, make: Callable[[], Adapted], length: int, repeats: int) -> list[Step]:
    """Plain and private steps of one model, each on one of its own."""
    losses = make_task(make().experiment.task).losses
    ways: dict[str, Callable[[], object]] = {"plain": step_of(make(), losses, length, "plain")}
    for kind, clipping in CLIPPINGS.items():
        ways[f"grouped, {kind}"] = _private(make(), losses, length, clipping)
    times = compare(f"step of {name}", ways, repeats)
    peaks = [_peak_mb(play, repeats) for play in ways.values()]
    return [Step(each, peak) for each, peak in zip(times, peaks, strict=True)]


def _private(adapted: Adapted, losses: RowLosses, length: int, clipping: Clipping) -> Callable[[], object]:
    parts = replace(parts_of(adapted, losses, length), plan=replace(PLAN, clipping=clipping))
    source = ENGINES["grouped"](adapted.module, losses)
    return partial(build_mechanism("example", replace(parts, source=source)).gradient, 0)


def _peak_mb(play: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        before = resident_bytes()
        forget_peak()
        play()
        found.append((resident_bytes(peak=True) - before) / 2**20)
    return statistics.median(found)


def curve(accountant: str) -> Curve:
    """The curve by one accountant."""
    start = time.process_time()
    made = EpsilonCurve(Planned({}, KIND, STEPS, EVERY), DELTA, accountant)
    made.compute()
    seconds = time.process_time() - start
    tallies = [{KIND: own} for own in range(EVERY, STEPS + 1, EVERY)]
    start = time.process_time()
    looks = [made.at(tally) for tally in tallies]
    look_us = (time.process_time() - start) / len(looks) * 1e6
    return Curve(accountant, round(seconds, 2), made.points, round(look_us, 2), looks[-1] or 0.0)


def noise(values: int, repeats: int, neighbors: Sequence[str] = ("b", "c")) -> Noise:
    """Own and shared noise of a phase."""
    seeds = PairSeeds("a", neighbors)
    for name in neighbors:
        seeds.agree(name, PairSeeds(name, ["a"]).public)
    shared = AgreedNoise("a", neighbors, seeds, MemoryTurns(), patience_s=0.0)
    own_ms = _milliseconds(lambda _: SecretStream().normal(values), repeats)
    return Noise(values, len(neighbors), own_ms, _milliseconds(lambda turn: shared.total(turn, values), repeats))


def _milliseconds(work: Callable[[int], object], repeats: int) -> float:
    found = []
    for turn in range(repeats):
        start = time.process_time()
        work(turn)
        found.append(time.process_time() - start)
    return round(statistics.median(found) * 1000, 1)


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--values", type=int, default=4_600_000)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        steps = steps_of("tiny Llama, 32 tokens", partial(tiny_llama, Path(folder)), 32, chosen.repeats)
    steps += steps_of("MiniLM, 48 tokens", minilm, 48, chosen.repeats)
    curves = [curve(accountant) for accountant in ("prv", *(["pld"] if has_pld() else []))]
    shared = noise(chosen.values, chosen.repeats)
    if chosen.json:
        found = {"steps": [asdict(step) for step in steps], "curves": [asdict(each) for each in curves]}
        print(json.dumps({**found, "noise": asdict(shared)}))
        return
    for step in steps:
        spread = f"({step.time.smallest:.3f} to {step.time.largest:.3f})"
        print(f"{step.time.name:48s} {step.time.milliseconds:8.1f} ms  x {step.time.ratio:.3f} {spread}", end="")
        print(f"  peak + {step.peak_mb:.1f} MB, batch {BATCH}")
    for each in curves:
        print(f"ε of {STEPS:,} steps by {each.accountant}: {each.seconds} CPU-s for {each.points} points, ", end="")
        print(f"{each.look_us} µs a look, ε = {each.epsilon:.3f}")
    print(f"noise of {shared.values:,} values: own {shared.own_ms} CPU-ms, ", end="")
    print(f"shared with {shared.neighbors} neighbors {shared.shared_ms} more")


if __name__ == "__main__":
    main()
