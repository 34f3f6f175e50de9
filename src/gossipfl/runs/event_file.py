"""One event file as TensorBoard reads it (extra `tensorboard`): records of its format, written by its own writer.

Its `SummaryWriter` names files by the second and leaves writing to a thread: two files of one second come in any order,
which decides what is drawn, and a full disk is told to nobody.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_NAME = re.compile(r"events\.out\.tfevents\.(\d{10,})\.gossipfl")


class EventFile:
    """A new file, read behind all those that are in the folder.

    Args:
        anew_from: what earlier files say of this place and later ones is not drawn any more.

    Raises:
        OSError: the disk does not take it; likewise its methods.
    """

    def __init__(self, folder: Path, *, anew_from: int) -> None:
        earlier = [int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))]
        # TensorBoard reads them in the order of their names, whatever the clock did
        number = max([int(time.time()), *(each + 1 for each in earlier)])
        self._records = RecordWriter((folder / f"events.out.tfevents.{number:010d}.gossipfl").open("xb"))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=anew_from, session_log=start))
        self._records.flush()

    def draw(self, place: int, figures: Mapping[str, float], at: float) -> None:
        """One point of every curve, on disk on return.

        Args:
            figures: by name of the curve.
            at: seconds since the epoch.
        """
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._write(Event(wall_time=at, step=place, summary=Summary(value=values)))
        self._records.flush()

    def close(self) -> None:
        """No more points."""
        self._records.close()

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
