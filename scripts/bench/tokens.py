"""Tokens in memory beside tokens in mapped files (`data.tokens`): what a start takes, and what a step waits for them.

    OMP_NUM_THREADS=1 .venv/bin/python -m scripts.bench.tokens [--tokens 100] [--length 512] [--ways mapped] [--json]

start      CPU-seconds and largest resident memory of a process of its own until its bench can train, over what it has
           with a handful of records; "again": the next start on the folder of "mapped"
anonymous  the part of that which is no page of a mapped file: those the kernel takes back when it needs the room
loading    share of a phase's CPU time that goes into rows of tokens: choosing, padding, making tensors
"""

import argparse
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scripts.bench.meters import resident_bytes
from scripts.bench.models_work import LLAMA, VOCABULARY, Work, write_tiny
from scripts.bench.processes import play_together

WAYS = ("memory", "mapped", "again")
LOOK_S, PHASES, HANDFUL = 0.01, 3, 64


@dataclass(frozen=True, slots=True)
class Start:
    """Of one process.

    Attributes:
        cpu_s: until it can train.
        peak, anonymous: largest resident bytes until then.
        trained: the same of `anonymous` while it trains.
        loading: share of a phase, median of `PHASES`.
    """

    cpu_s: float
    peak: int
    anonymous: int
    trained: int
    loading: float


class Anonymous:
    """The largest resident memory of this process that is no file's, looked at every `LOOK_S`."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """What it was."""
        self._ended.set()
        self._thread.join()
        return self.peak

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            lines = Path("/proc/self/status").read_text().splitlines()
            (kilobytes,) = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
            self.peak = max(self.peak, kilobytes * 1024)


def write_corpus(path: Path, rows: int, length: int) -> None:
    """Lines of as many words as a row takes tokens but one, the end."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{word}" for word in range(VOCABULARY)])
    with path.open("w") as file:
        for _ in range(rows):
            file.write(json.dumps({"text": " ".join(words[rng.integers(3, VOCABULARY, length - 1)])}) + "\n")


def write_model(folder: Path, length: int) -> None:
    """The tiny model of `models`, with as long a context as rows have."""
    write_tiny(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": max(64, length)}))


def play_start(work: Work, folder: Path, name: str, way: str) -> Start:
    """A node's start and some phases, in a process of its own."""
    from scripts.bench import models_ours  # noqa: PLC0415  # imports are part of a start

    from gossipfl.learning.bench import build_learner  # noqa: PLC0415  # as above
    from gossipfl.learning.books import RunTerms  # noqa: PLC0415  # as above
    from gossipfl.learning.data import DataSite  # noqa: PLC0415  # as above

    torch.set_num_threads(1)
    plain = models_ours.experiment_of(work, folder / "model", "plain")
    tokens = "memory" if way == "memory" else "mapped"
    experiment = plain.model_copy(update={"data": plain.data.model_copy(update={"tokens": tokens})})
    site = DataSite("n0", ("n0",), name, folder, folder, tokens=folder / f"tokens-{name}")
    began, seen = time.process_time(), Anonymous()
    bench = build_learner(experiment, site, RunTerms("bench", streams="seeded"))
    cpu_s, peak, anonymous = time.process_time() - began, resident_bytes(peak=True), seen.end()
    play, seen, draw = models_ours.phases(bench), Anonymous(), np.random.default_rng(1)
    shares = []
    for _ in range(PHASES + 1):
        units = [draw.choice(bench.data.train.units, work.batch, replace=False) for _ in range(work.steps)]
        times = [time.process_time()]
        for some in units:
            deque(bench.data.train.load(some, work.micro_batch), maxlen=0)
        times.append(time.process_time())
        play()
        times.append(time.process_time())
        shares.append((times[1] - times[0]) / (times[2] - times[1]))
    # the first warms up
    return Start(cpu_s, peak, anonymous, seen.end(), float(np.median(shares[1:])))


def measure(work: Work, rows: int, ways: Sequence[str]) -> dict[str, tuple[Start, Start]]:
    """By way: with a handful of records, and with all; one process after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model", work.length)
        for file, count in (("few.jsonl", HANDFUL), ("all.jsonl", rows)):
            write_corpus(folder / file, count, work.length)
        return {
            way: (
                play_together([partial(play_start, work, folder, "few.jsonl", way)])[0],
                play_together([partial(play_start, work, folder, "all.jsonl", way)])[0],
            )
            for way in ways
        }


def show(way: str, few: Start, found: Start) -> None:
    """A line."""
    peak, anonymous, trained = (
        (getattr(found, what) - getattr(few, what)) / 1e6 for what in ("peak", "anonymous", "trained")
    )
    print(
        f"{way:7s} start {found.cpu_s:.1f} CPU-s, {few.cpu_s:.1f} with a handful; peak {found.peak / 1e6:.0f} MB, over "
        f"a handful {peak:.0f}, anonymous {anonymous:.0f}; while it trains anonymous {trained:.0f}; loading "
        f"{100 * found.loading:.2f}% of a phase",
        flush=True,
    )


def main() -> None:
    """Prints a line a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=float, default=100, help="millions, 4 MB each")
    parser.add_argument("--length", type=int, default=512, help="tokens of a row")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    chosen = parser.parse_args()
    work = Work("tiny Llama, causal-lm", "tiny", "causal-lm", LLAMA, chosen.length, 32, 8, 2)
    found = measure(work, int(chosen.tokens * 1e6 / chosen.length), chosen.ways)
    if chosen.json:
        print(json.dumps({way: [asdict(one) for one in both] for way, both in found.items()}))
        return
    for way, (few, every) in found.items():
        show(way, few, every)


if __name__ == "__main__":
    main()
