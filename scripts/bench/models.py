"""Training throughput and memory of the learner against a bare loop of transformers and PEFT, at equal settings.

    OMP_NUM_THREADS=1 .venv/bin/python -m scripts.bench.models [--only MiniLM] [--repeats 9] [--no-memory] [--json]

throughput   rows a CPU-second of one thread, over those of the bare loop, phase against phase in turns; at least 0.95
peak         largest resident memory of a process of its own while it trains, over the bare loop's; at most 1.1
estimated    what `gossipfl check` tells before loading, over what was measured; 0.7 to 1.3
loading      share of our time that goes into rows of tokens: choosing, padding, making tensors
example      the same figures of a step at privacy.level example, for information
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scripts.bench.meters import forget_peak, resident_bytes
from scripts.bench.models_work import WORKS, Play, Way, Work, write_tiny
from scripts.bench.processes import play_together

if TYPE_CHECKING:
    from gossipfl.learning.bench import Bench

WAYS: tuple[Way, ...] = ("bare", "plain", "example")
MEMORY_PHASES = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest."""

    middle: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"{self.middle:.3f} ({self.smallest:.3f} to {self.largest:.3f})"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process of its own.

    Attributes:
        loaded: resident before the first phase.
        peak: largest while it trained.
        ever: largest since the process began.
    """

    loaded: int
    peak: int
    ever: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one model and task.

    Attributes:
        step_ms: CPU time of a step of the bare loop.
        throughput: ours over the bare loop's, by way.
        loading: share of our time.
        memory: by way.
        estimated: bytes that `gossipfl check` tells before loading, by way.
    """

    name: str
    step_ms: float
    throughput: dict[str, Spread]
    loading: Spread
    memory: dict[str, Memory]
    estimated: dict[str, int]


def cpu_s(work: Callable[[], object]) -> float:
    """Of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def spread(values: Sequence[float]) -> Spread:
    """Of some measurements."""
    return Spread(statistics.median(values), min(values), max(values))


def model_folder(work: Work, folder: Path) -> Path:
    """Where the model lies; the tiny one is drawn, a GGUF converted once."""
    if work.source == "tiny":
        write_tiny(folder / "tiny")
        return folder / "tiny"
    from gossipfl.config.experiment import ModelConfig  # noqa: PLC0415  # the bare side's process must not pay for it
    from gossipfl.learning.sources import locate  # noqa: PLC0415

    return locate(ModelConfig(source=work.source), folder=folder).folder


def measure_time(work: Work, base: Path, folder: Path, repeats: int) -> tuple[float, dict[str, Spread], Spread]:
    """Milliseconds of a bare step, our throughput over the bare loop's, and the share of loading."""
    from scripts.bench import models_bare, models_ours  # noqa: PLC0415  # as above

    benches: dict[str, Bench] = {way: models_ours.bench_of(work, base, folder, way) for way in WAYS if way != "bare"}
    plays: dict[str, Play] = {"bare": models_bare.phases(work, base, folder)}
    plays |= {way: models_ours.phases(bench) for way, bench in benches.items()}
    units = np.arange(work.batch)

    def load() -> None:
        for _ in range(work.steps):
            deque(benches["plain"].data.train.load(units, work.micro_batch), maxlen=0)

    # the first turn warms up
    turns = [{way: cpu_s(play) for way, play in {**plays, "load": load}.items()} for _ in range(repeats + 1)][1:]
    for bench in benches.values():
        bench.close()
    ratios = {way: spread([turn["bare"] / turn[way] for turn in turns]) for way in benches}
    step_ms = statistics.median(turn["bare"] for turn in turns) / work.steps * 1000
    return step_ms, ratios, spread([turn["load"] / turn["plain"] for turn in turns])


def play_memory(work: Work, base: Path, way: Way) -> Memory:
    """In a process of its own, which imports this side alone."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        play = _side(work, base, Path(name), way)
        loaded, loading = resident_bytes(), resident_bytes(peak=True)
        forget_peak()
        for _ in range(MEMORY_PHASES):
            play()
        peak = resident_bytes(peak=True)
        return Memory(loaded, peak, max(loading, peak))


def play_estimate(work: Work, base: Path, way: Way) -> int:
    """In a process of its own, before anything is loaded."""
    from scripts.bench import models_ours  # noqa: PLC0415  # as above

    from gossipfl.node.memory import memory_of  # noqa: PLC0415  # as above

    return memory_of(models_ours.experiment_of(work, base, way), base, neighbors=0).total


def _side(work: Work, base: Path, folder: Path, way: Way) -> Play:
    if way == "bare":
        from scripts.bench import models_bare  # noqa: PLC0415  # as above

        return models_bare.phases(work, base, folder)
    from scripts.bench import models_ours  # noqa: PLC0415  # as above

    return models_ours.phases(models_ours.bench_of(work, base, folder, way))


def measure(work: Work, repeats: int, *, memory: bool) -> Figures:
    """All figures of one model; the processes for memory run one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = model_folder(work, folder)
        step_ms, throughput, loading = measure_time(work, base, folder, repeats)
        ways = WAYS if memory else ()
        found: dict[str, Memory] = {way: play_together([partial(play_memory, work, base, way)])[0] for way in ways}
        told: dict[str, int] = {
            way: play_together([partial(play_estimate, work, base, way)])[0] for way in ways if way != "bare"
        }
    return Figures(work.name, step_ms, throughput, loading, found, told)


def show(one: Figures) -> None:
    """A block."""
    print(f"{one.name}: {one.step_ms:.1f} CPU-ms a bare step; loading {100 * one.loading.middle:.2f}% of a phase")
    for way, ratio in one.throughput.items():
        line = f"  {way:8s} throughput x {ratio}"
        if one.memory:
            own, base = one.memory[way], one.memory["bare"]
            line += f"; peak {own.peak / 1e6:.0f} MB, x {own.peak / base.peak:.3f} of {base.peak / 1e6:.0f}"
            line += f"; over what was loaded {_over(own):.0f} and {_over(base):.0f} MB"
            line += f"; since the start x {own.ever / base.ever:.3f}; estimated x {one.estimated[way] / own.peak:.3f}"
        print(line, flush=True)


def _over(memory: Memory) -> float:
    return (memory.peak - memory.loaded) / 1e6


def main() -> None:
    """Prints a block a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models whose name begins like this")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for work in (work for work in WORKS if work.name.startswith(chosen.only)):
        found.append(measure(work, chosen.repeats, memory=not chosen.no_memory))
        if not chosen.json:
            show(found[-1])
    if chosen.json:
        print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
