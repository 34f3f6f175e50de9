"""Whether training fits into this machine, and what to change where it does not; told before the model is loaded.

    needed = this process, which has imported what a node imports + weights + adapter + activations + unit gradients

On a GPU the process stays in the machine's own memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from gossipfl.config.experiment import Experiment
from gossipfl.importing import quick_import
from gossipfl.learning.device import autocast_type, choose_device

UNIT = 1e9


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that training takes at one node, and what there is.

    Attributes:
        device: whose memory it is.
        process: of this process as it is now; 0 on a GPU.
        weights, adapter, activations, unit_gradients: see `gossipfl.learning.footprint`.
        micro_batch: rows of a pass.
        available: free now.
        machine: all there is.
    """

    device: str
    process: int
    weights: int
    adapter: int
    activations: int
    unit_gradients: int
    micro_batch: int
    available: int
    machine: int

    @property
    def by_rows(self) -> int:
        """What grows with `micro_batch`."""
        return self.activations + self.unit_gradients

    @property
    def training(self) -> int:
        """What training takes beside the process."""
        return self.weights + self.adapter + self.by_rows

    @property
    def total(self) -> int:
        """All that is needed."""
        return self.process + self.training

    @property
    def room(self) -> int:
        """What there is for it: this process is there already."""
        return self.available + self.process

    @property
    def loads(self) -> bool:
        """The weights alone fit into the whole memory."""
        return self.process + self.weights <= self.machine


def memory_of(experiment: Experiment, folder: Path, *, neighbors: int) -> Memory:
    """What an experiment with a model of transformers takes on this machine, by estimate.

    Args:
        folder: where experiment.yaml lies.
        neighbors: each has a state here.

    Raises:
        ConfigError: there is no such device.
        ModelError: see `gossipfl.learning.footprint.footprint`.
    """
    quick_import("gossipfl.learning.footprint")
    # seconds to import, and a builtin model does without
    from gossipfl.learning.footprint import footprint  # noqa: PLC0415

    device = choose_device(experiment.training)
    autocast = autocast_type(experiment.training, device)
    found = footprint(experiment, folder, neighbors=neighbors, autocast=autocast)
    available, machine = _machine(device)
    return Memory(
        device=str(device),
        process=psutil.Process().memory_info().rss if device.type == "cpu" else 0,
        weights=found.weights,
        adapter=found.adapter,
        activations=found.activations,
        unit_gradients=found.unit_gradients,
        micro_batch=found.micro_batch,
        available=available,
        machine=machine,
    )


def _machine(device: torch.device) -> tuple[int, int]:
    """Free bytes, and all."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def shortage(memory: Memory, experiment: Experiment, folder: Path, *, neighbors: int) -> str:
    """One line that says what is missing and what would change it; empty where it fits.

    Args:
        experiment, folder, neighbors: what `memory` was told of.
    """
    if memory.total <= memory.room:
        return ""
    parts = ("weights", "adapter", "activations", "unit_gradients")
    listed = ", ".join(f"{name} {_size(getattr(memory, name))}" for name in parts if getattr(memory, name))
    needed = f"memory: training takes about {_size(memory.total)} of {memory.device} memory ({listed})"
    changes = [_fewer_rows(memory), *_changes(memory, experiment, folder, neighbors)]
    advised = "; ".join(change for change in changes if change)
    return f"{needed}, and {_size(memory.room)} are free: {advised or 'a smaller model is wanted'}"


def _fewer_rows(memory: Memory) -> str:
    room = memory.room - (memory.total - memory.by_rows)
    rows = room * memory.micro_batch // memory.by_rows
    return f"training.micro_batch {rows} would fit" if rows >= 1 else ""


def _changes(memory: Memory, experiment: Experiment, folder: Path, neighbors: int) -> Iterator[str]:
    """Other settings, each by itself, and what they come to."""
    training, model, task = experiment.training, experiment.model, experiment.task
    wishes: list[tuple[str, Experiment]] = []
    if not training.gradient_checkpointing:
        own = training.model_copy(update={"gradient_checkpointing": True})
        wishes.append(("training.gradient_checkpointing true", experiment.model_copy(update={"training": own})))
    if model.dtype == "float32":
        smaller = model.model_copy(update={"dtype": "bfloat16"})
        wishes.append(("model.dtype bfloat16", experiment.model_copy(update={"model": smaller})))
    shorter = task.model_copy(update={"max_length": max(1, task.max_length // 2)})
    wishes.append((f"task.max_length {shorter.max_length}", experiment.model_copy(update={"task": shorter})))
    if model.quantization == "none" and memory.device != "cpu":
        small = model.model_copy(update={"quantization": "nf4"})
        wishes.append(("model.quantization nf4", experiment.model_copy(update={"model": small})))
    for name, wished in wishes:
        # this process has grown since by asking
        taken = memory_of(wished, folder, neighbors=neighbors).training
        if taken < memory.training:
            yield f"{name} takes {_size(memory.process + taken)}"


def _size(count: int) -> str:
    return f"{count / UNIT:.2f} GB"
