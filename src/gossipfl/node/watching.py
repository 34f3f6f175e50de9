"""Notices when something changes in a folder, by the system's own means (inotify, FSEvents, …): watchfiles."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

logger = logging.getLogger(__name__)
_CLOSE_S = 1.0
_STEP_MS, _GROUP_MS = 50, 200
"""How often the system is asked, and for how long changes are gathered at most."""


class Watcher:
    """A thread that calls whenever something has changed in a folder; close it.

    A network file system may say nothing of what other machines write: WATCHFILES_FORCE_POLLING=true in the environment
    looks again and again instead.

    Args:
        changed: called from the thread; once too when watching has begun, for what came before.
        lost: called when the system cannot watch, since its watches are used up, say, or the folder is gone.
    """

    def __init__(self, folder: Path, changed: Callable[[], None], lost: Callable[[], None]) -> None:
        self._folder = folder
        self._changed, self._lost = changed, lost
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watching", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No call after this."""
        self._end.set()
        self._thread.join(_CLOSE_S)

    def _watch(self) -> None:
        begun = False
        try:
            for changes in watchfiles.watch(
                self._folder,
                watch_filter=None,
                debounce=_GROUP_MS,
                step=_STEP_MS,
                stop_event=self._end,
                rust_timeout=_GROUP_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
            ):
                if (changes or not begun) and not self._end.is_set():
                    self._changed()
                begun = True
        except (OSError, RuntimeError) as error:
            logger.warning("%s cannot be watched (%s): it is looked at before every phase", self._folder, error)
            self._lost()
