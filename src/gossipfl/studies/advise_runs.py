"""The runs of `gossipfl advise`: some at a time in processes of their own, each written down as it ends."""

import json
import math
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Self

from gossipfl.core.json_text import json_text
from gossipfl.errors import GossipflError, StateError, UserError
from gossipfl.studies.advise_grid import Combination
from gossipfl.studies.advise_race import Entry, Outcome, race
from gossipfl.studies.study_options import check_output


@dataclass(frozen=True, slots=True)
class Ask:
    """A run to be done.

    Attributes:
        repeat: from 0; decides the seeds.
        until_s: virtual seconds at most.
    """

    combination: Combination
    repeat: int
    until_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """A run that was done; see `Outcome`."""

    combination: Combination
    repeat: int
    until_s: float
    reached: bool
    seconds: float
    bytes: float
    rounds: float
    spread: float
    drift: float

    def as_json(self) -> dict[str, Any]:
        """A line of grid.jsonl; `until_s` is None where nothing limits it."""
        plain = asdict(self)
        del plain["combination"]
        plain["until_s"] = self.until_s if math.isfinite(self.until_s) else None
        return asdict(self.combination) | plain


@dataclass(frozen=True, slots=True)
class Refused:
    """A combination that makes no sense."""

    combination: Combination
    reason: str


Found = Done | Refused
MakeEntry = Callable[[Combination, int, float], Entry]


class Notebook:
    """What was found, on disk in `folder`.

    Raises:
        DataError: there is something in the folder, and it is not to be gone on with.
        StateError: it belongs to another question.
    """

    def __init__(self, folder: Path, question: str, *, resume: bool) -> None:
        check_output(folder, resume=resume)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        config, self._file = folder / "config.yaml", folder / "grid.jsonl"
        if config.exists() and config.read_text() != question:
            raise StateError(f"--output {folder}: another experiment or other options were asked for there")
        config.write_text(question)
        self._known: dict[Ask, Found] = dict(self._read())

    def known(self, ask: Ask) -> Found | None:
        """What an earlier process has found."""
        return self._known.get(ask)

    def write(self, ask: Ask, found: Found) -> None:
        """Adds a line."""
        line = found.as_json() if isinstance(found, Done) else {**asdict(ask.combination), "refused": found.reason}
        line |= {"repeat": ask.repeat, "until_s": ask.until_s if math.isfinite(ask.until_s) else None}
        with self._file.open("a") as file:
            file.write(json_text(line) + "\n")

    def _read(self) -> Iterator[tuple[Ask, Found]]:
        lines = self._file.read_text().splitlines(keepends=True) if self._file.exists() else []
        # the last one may be cut: whoever wrote it was killed
        whole = [line for line in lines if line.endswith("\n")]
        self._file.write_text("".join(whole))
        for line in whole:
            content = json.loads(line)
            combination = Combination(*(content.pop(name) for name in ("schedule", "protocol", "codec")))
            limit = content.pop("until_s")
            ask = Ask(combination, content.pop("repeat"), math.inf if limit is None else limit)
            reason = content.get("refused")
            yield ask, Done(**asdict_of(ask), **content) if reason is None else Refused(combination, reason)


def asdict_of(ask: Ask) -> dict[str, Any]:
    """Its fields, as they are."""
    return {"combination": ask.combination, "repeat": ask.repeat, "until_s": ask.until_s}


class Racers:
    """Processes that run entries; close it when all is done.

    Args:
        jobs: processes.
    """

    def __init__(self, jobs: int, notebook: Notebook) -> None:
        forks = sys.platform == "linux"
        context = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            context.set_forkserver_preload([race.__module__])
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(self._stop,))
        self._notebook = notebook

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what runs, starts nothing more."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def run(self, asks: Sequence[Ask], entry: MakeEntry) -> Iterator[Found]:
        """What comes of each, in their order.

        Raises:
            GossipflError: one of the processes was killed.
        """
        try:
            yield from self._run(asks, entry)
        except BrokenProcessPool as error:
            folder = self._notebook.folder
            raise GossipflError(
                f"advise: one of its processes was killed, as where memory runs out: fewer --jobs need less; go on "
                f"with --output {folder} --resume"
            ) from error

    def _run(self, asks: Sequence[Ask], entry: MakeEntry) -> Iterator[Found]:
        begun = [(ask, self._begin(ask, entry)) for ask in asks]
        for ask, under_way in begun:
            if isinstance(under_way, Future):
                found = _found(ask, under_way)
                self._notebook.write(ask, found)
            else:
                found = under_way
            yield found

    def _begin(self, ask: Ask, entry: MakeEntry) -> "Future[Outcome] | Found":
        known = self._notebook.known(ask)
        if known is not None:
            return known
        try:
            made = entry(ask.combination, ask.repeat, ask.until_s)
        except UserError as error:
            refused = Refused(ask.combination, str(error))
            self._notebook.write(ask, refused)
            return refused
        return self._pool.submit(_race, made)


def _found(ask: Ask, under_way: "Future[Outcome]") -> Found:
    try:
        return Done(**asdict_of(ask), **asdict(under_way.result()))
    except UserError as error:
        return Refused(ask.combination, str(error))


_is_over: list[Event] = []
"""Of this process of the pool: set when nobody waits any more."""


def _begin(stop: Event) -> None:
    # Ctrl-C reaches all processes of a terminal: the one that waits for them ends them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _is_over.append(stop)


def _race(entry: Entry) -> Outcome:
    return race(entry, stopped=_is_over[-1].is_set)
