"""A node that does not train all the time: it waits before a phase, and mixes and serves meanwhile."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from gossipfl.config.machine import MachineConfig
from gossipfl.runs.resting import rest_s

logger = logging.getLogger(__name__)
LOOK_S = 60.0
"""Seconds after which the clock is looked at again: machines sleep, and clocks are put right."""


class Rest:
    """When the next phase may begin.

    Args:
        time_of_day: seconds since midnight, by this machine's clock.

    Attributes:
        resting: it is waited for that.
    """

    def __init__(self, machine: MachineConfig, time_of_day: Callable[[], float] | None = None) -> None:
        self._machine = machine
        self._time_of_day = time_of_day or _time_of_day
        self._took_s = 0.0
        self.resting = False

    def trained(self, took_s: float) -> None:
        """A phase is over."""
        self._took_s = took_s

    async def over(self) -> bool:
        """Returns when a phase may begin; whether that had to be waited for."""
        ends = asyncio.get_running_loop().time()
        ends += rest_s(self._machine.model_copy(update={"train_hours": ()}), took_s=self._took_s, at_s=0.0)
        waited = False
        while (left := max(ends - asyncio.get_running_loop().time(), self._until_open())) > 0:
            if not waited:
                logger.info("resting for %.0f s before the next phase", left, extra={"rest_s": left})
            waited = self.resting = True
            try:
                await asyncio.sleep(min(left, LOOK_S))
            finally:
                self.resting = False
        return waited

    def _until_open(self) -> float:
        return rest_s(self._machine, took_s=0.0, at_s=self._time_of_day())


def _time_of_day() -> float:
    now = datetime.now(UTC).astimezone()
    return now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6
