"""Plays in processes of their own, started anew: nothing of this one's memory or threads is in them."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

T = TypeVar("T")
SPAWN = multiprocessing.get_context("spawn")


def play_together(plays: Sequence[Callable[[], T]]) -> list[T]:
    """Result of each play, all at the same time; a play has to be picklable."""
    running = []
    for play in plays:
        ours, theirs = SPAWN.Pipe()
        child = SPAWN.Process(target=_child, args=(play, theirs))
        child.start()
        theirs.close()
        running.append((child, ours))
    results: list[T] = [pipe.recv() for _, pipe in running]
    for child, _ in running:
        child.join()
    return results


def _child(play: Callable[[], object], pipe: Connection) -> None:
    pipe.send(play())
