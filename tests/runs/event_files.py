"""What TensorBoard itself reads in a folder of event files, for tests."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Curve = list[tuple[int, float]]


def curves_in(folder: Path) -> dict[str, Curve]:
    """Every curve as TensorBoard draws it: places and values."""
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def times_in(folder: Path, tag: str) -> list[float]:
    """When its points were made."""
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return [event.wall_time for event in read.Scalars(tag)]
