"""What privacy costs a step, and what many nodes in one pass save.

    .venv/bin/python -m scripts.bench.unit_gradients [--repeats 9] [--json]

Steps: one batch of 32 units in micro-batches of 8, LoRA of rank 8 on query and value, CPU time of one thread; plain
backward pass, DP-SGD by hooks and by groups, in turns. Times are of the whole step: choice of the batch, gradients,
clipping, noise. Groups: nodes with a batch each, adapters of their own, in one pass and one at a time.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scripts.bench.models_work import VOCABULARY, write_tiny
from torch import nn

from gossipfl.config.experiment import AdapterConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.learning.adapters import Adapted, attach
from gossipfl.learning.models import load_base
from gossipfl.learning.tasks import make_task
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms import MechanismParts, RowLosses, Rows, Units, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.sources import ENGINES, Engine
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import trainable, zeros_for
from gossipfl.privacy.streams import SeededStream
from gossipfl.studies.demo_config import MODEL

BATCH, MICRO_BATCH = 32, 8
LABELS = ("a", "b", "c", "d", "e")
PLAN = Plan("example", 1.0, 1.0, 0.1, 1e-3, 1, BATCH, None, float("inf"), "prv")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Times of one way over those of another, measured in turns.

    Attributes:
        name: what was measured.
        milliseconds: median.
        ratio: median of the ratios of neighboring measurements.
        smallest: of them.
        largest: of them.
    """

    name: str
    milliseconds: float
    ratio: float
    smallest: float
    largest: float


def tiny_llama(folder: Path) -> Adapted:
    """Two layers of 64, drawn from a seed, with LoRA on q and v."""
    write_tiny(folder)
    return _attach(str(folder), TaskConfig(kind="causal-lm"), ("q_proj", "v_proj"))


def minilm() -> Adapted:
    """MiniLM, a head, and LoRA on query and value."""
    return _attach(MODEL, TaskConfig(kind="sequence-classification", labels=LABELS), ("query", "value"))


def _attach(source: str, task: TaskConfig, targets: tuple[str, ...]) -> Adapted:
    experiment = Experiment(
        model=ModelConfig(source=source),
        task=task,
        adapter=AdapterConfig(kind="lora", rank=8, targets=targets),
        privacy=PrivacyConfig(level="none"),
    )
    return attach(load_base(experiment.model, task, folder=Path(), seed=0), experiment)


def rows_of(adapted: Adapted, count: int, length: int, seed: int = 0) -> Rows:
    """Random tokens, each row a unit."""
    random = np.random.default_rng(seed)
    ids = torch.from_numpy(random.integers(2, VOCABULARY, (count, length)))
    labels = torch.from_numpy(random.integers(0, len(LABELS), count)) if adapted.labels else ids
    return Rows({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}, torch.arange(count))


def parts_of(adapted: Adapted, losses: RowLosses, length: int) -> MechanismParts:
    """What a step of 32 units is made from."""
    batches = [rows_of(adapted, MICRO_BATCH, length, seed) for seed in range(BATCH // MICRO_BATCH)]

    def load(_units: Units) -> Iterator[Rows]:
        yield from batches

    noise, choice = SeededStream(0, "a", "noise"), SeededStream(0, "a", "batches")
    return MechanismParts(adapted.module, losses, load, BATCH, BATCH, PLAN, FreeAccount(), noise, choice)


def step_of(adapted: Adapted, losses: RowLosses, length: int, kind: str) -> Callable[[], object]:
    """One step of 32 units: plain, hooks or grouped."""
    parts = parts_of(adapted, losses, length)
    if kind == "plain":
        return partial(build_mechanism("none", replace(parts, plan=None)).gradient, 0)
    engine: Engine = "hooks" if kind == "hooks" else "grouped"
    source = ENGINES[engine](adapted.module, losses)
    return partial(build_mechanism("example", replace(parts, source=source)).gradient, 0)


def many(adapted: Adapted, losses: RowLosses, shape: tuple[int, int, int]) -> Sequence[Callable[[], object]]:
    """(nodes, rows of each, tokens): one pass, and one node after another."""
    nodes, count, length = shape
    start = torch.from_numpy(adapted.initial.vector.copy())
    torch.manual_seed(1)
    groups = [
        Group(start + 0.01 * torch.randn_like(start), rows_of(adapted, count, length, seed)) for seed in range(nodes)
    ]
    together, alone = GroupedGradients(adapted.module, losses), PlainGradients(adapted.module, losses)

    def one_by_one() -> None:
        adapted.module.eval()
        for group in groups:
            if group.vector is not None:
                _write(adapted.module, group.vector)
            alone.add(group.rows, None, zeros_for(adapted.module))

    return one_by_one, partial(together.sums, groups)


def _write(module: nn.Module, vector: torch.Tensor) -> None:
    with torch.no_grad():
        parameters = trainable(module)
        for parameter, part in zip(parameters, torch.split(vector, [p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.view_as(parameter))


def compare(name: str, ways: Mapping[str, Callable[[], object]], repeats: int) -> list[Ratio]:
    """Every way against the first, in turns, after one turn that warms up."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats + 1):
        for way, play in ways.items():
            start = time.process_time()
            play()
            if turn:
                times[way].append(time.process_time() - start)
    base = next(iter(times.values()))
    found = []
    for way, seconds in times.items():
        ratios = [mine / reference for mine, reference in zip(seconds, base, strict=True)]
        middle = statistics.median(seconds) * 1000
        found.append(Ratio(f"{name}, {way}", middle, statistics.median(ratios), min(ratios), max(ratios)))
    return found


def measure(repeats: int) -> list[Ratio]:
    """All comparisons."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        make = partial(tiny_llama, Path(folder))
        llama = make()
        for name, fresh, length in (("tiny Llama, 32 tokens", make, 32), ("MiniLM, 48 tokens", minilm, 48)):
            losses = make_task(fresh().experiment.task).losses
            # each on a model of its own: hooks would slow the others down
            ways = {kind: step_of(fresh(), losses, length, kind) for kind in ("plain", "hooks", "grouped")}
            found += compare(f"step of {name}", ways, repeats)
    losses = make_task(llama.experiment.task).losses
    for shape in ((32, 1, 16), (128, 1, 32), (32, 16, 16)):
        one_by_one, together = many(llama, losses, shape)
        title = "{} nodes x {} rows x {} tokens".format(*shape)
        found += compare(title, {"one at a time": one_by_one, "one pass": together}, repeats)
    return found


def main() -> None:
    """Prints one line a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(chosen.repeats)
    if chosen.json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(
            f"{one.name:52s} {one.milliseconds:9.1f} ms   x {one.ratio:.3f} ({one.smallest:.3f} to {one.largest:.3f})"
        )


if __name__ == "__main__":
    main()
