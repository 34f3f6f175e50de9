"""Our side of `models`: a bench, built as a node builds it but for seeded batches, and a phase of its learner."""

from pathlib import Path
from typing import Any

from scripts.bench.models_work import LABELS, RANK, RATE, Play, Way, Work, write_records

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite


def bench_of(work: Work, base: Path, folder: Path, way: Way) -> Bench:
    """A node's bench.

    Args:
        base: folder of the model.
        folder: for the records.
    """
    path = write_records(work, folder, way)
    site = DataSite("n0", ("n0",), path.name, folder, folder)
    return build_learner(experiment_of(work, base, way), site, RunTerms("bench", streams="seeded"))


def phases(bench: Bench) -> Play:
    """One phase a call, each after the last one's steps."""
    steps = bench.adapted.experiment.training.local_steps
    begun = iter(range(0, 10**9, steps))

    def play() -> None:
        bench.learner.train(bench.adapted.initial, first_step=next(begun), steps=steps)

    return play


def experiment_of(work: Work, base: Path, way: Way) -> Experiment:
    """What is trained, as experiment.yaml has it."""
    terms: dict[str, Any] = {"noise_multiplier": 1.0, "target_delta": 1e-3, "public_data": True}
    return Experiment(
        model=ModelConfig(source=str(base)),
        task=TaskConfig(kind=work.kind, labels=LABELS if work.labeled else (), max_length=work.length),
        adapter=AdapterConfig(kind="lora", rank=RANK, targets=work.targets),
        data=DataConfig(held_out=0.0),
        training=TrainingConfig(
            phases=1000,
            local_steps=work.steps,
            batch_size=work.batch,
            micro_batch=work.micro_batch,
            learning_rate=RATE,
            threads=1,
            device="cpu",
        ),
        privacy=PrivacyConfig(level="example", **terms) if way == "example" else PrivacyConfig(level="none"),
    )
