"""Faults of lines: weather of a kind, and its end."""

from collections.abc import Callable

from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground
from gossipfl.studies.drill.weather import FAIR, Weather

Suits = Callable[[str, str], bool]
_LOST = 3
"""Place of the node whose machine is gone."""
_UNHEARD = 0.5
"""Part of a cut in which nothing is heard; at its beginning what was under way may still arrive."""


def _fair(ground: Ground) -> None:
    ground.lines.change(FAIR)


def _everywhere(weather: Weather) -> Callable[[Ground], None]:
    return lambda ground: ground.lines.change(weather)


def _two_halves(ground: Ground) -> None:
    half = set(ground.names[: len(ground.names) // 2])
    ground.lines.change(Weather(cut=True), lambda sender, receiver: (sender in half) != (receiver in half))


def _heal(ground: Ground) -> None:
    half = set(ground.names[: len(ground.names) // 2])
    for name in ground.names:
        others = set(ground.names) - half if name in half else half
        heard = min(ground.sights[name].heard.get(other, 0) for other in others)
        if heard < _UNHEARD * ground.progress_since_struck(name):
            ground.note(f"{name} heard the other half all the same")
    _fair(ground)


def _vanish(ground: Ground) -> None:
    lost = ground.names[_LOST]
    ground.lines.change(Weather(cut=True), lambda sender, receiver: lost in {sender, receiver})
    # its end of every connection is gone, and nobody at the other end hears of it
    ground.kill(lost)


def _come_back(ground: Ground) -> None:
    _fair(ground)
    ground.start(ground.names[_LOST])


def _no_packets(ground: Ground) -> str | None:
    return None if ground.lines.packets else "without namespaces no single packet can be lost"


PARTITION = Fault("partition", "two halves that do not hear each other", 8.0, _two_halves, _heal)
LOSS = Fault("loss", "every tenth packet is lost", 8.0, _everywhere(Weather(loss=0.1)), _fair, lacks=_no_packets)
LATENCY = Fault("latency", "200 ms on every line", 8.0, _everywhere(Weather(delay_s=0.2)), _fair)
BANDWIDTH = Fault("bandwidth", "1 Mbit/s on every line", 8.0, _everywhere(Weather(bytes_per_s=125_000.0)), _fair)
HALF_OPEN = Fault("half-open", "a machine is gone and its connections stay", 8.0, _vanish, _come_back, hurt=(_LOST,))
