"""The lines between nodes of a drill: where each is called by the others, how it is started, what weather there is.

places    root: each node in a network namespace, packets carried by a `Switch`
loopback  else: all on 127.0.0.1, each line through a proxy, which carries bytes and can lose none of them
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gossipfl.studies.drill.namespaces import Places, open_places
from gossipfl.studies.drill.proxies import Proxies
from gossipfl.studies.drill.switch import Switch
from gossipfl.studies.drill.weather import Weather
from gossipfl.studies.fleet import Job, Running, launch
from gossipfl.studies.free_ports import HOST, free_ports

PORT = 7000


class Lines(Protocol):
    """What joins the nodes."""

    @property
    def packets(self) -> bool:
        """Single packets can be lost."""
        ...

    @property
    def binds(self) -> Mapping[str, str]:
        """HOST:PORT each node listens at."""
        ...

    def address(self, caller: str, called: str) -> str:
        """HOST:PORT at which one node calls another."""
        ...

    def change(self, weather: Weather, suits: Callable[[str, str], bool] = lambda _from, _to: True) -> None:
        """Sets the weather of every direction (from, to) that suits; the others keep theirs."""
        ...

    def launch(self, job: Job, environment: Mapping[str, str]) -> Running:
        """Starts a node, named by its job, where its lines begin."""
        ...

    def command(self, name: str, command: Sequence[str]) -> Sequence[str]:
        """A command as it is run where a node is."""
        ...


@dataclass(frozen=True, slots=True)
class _PlaceLines:
    places: Places
    switch: Switch
    binds: Mapping[str, str]
    packets: bool = True

    def address(self, caller: str, called: str) -> str:  # noqa: ARG002  # the same for all
        """See `Lines`."""
        return self.binds[called]

    def change(self, weather: Weather, suits: Callable[[str, str], bool] = lambda _from, _to: True) -> None:
        """See `Lines`."""
        self.switch.change(weather, suits)

    def launch(self, job: Job, environment: Mapping[str, str]) -> Running:
        """See `Lines`."""
        return launch(job, environment, through=partial(self.command, job.name))

    def command(self, name: str, command: Sequence[str]) -> Sequence[str]:
        """See `Lines`."""
        return self.places.inside(name, command)


@dataclass(frozen=True, slots=True)
class _LoopbackLines:
    proxies: Proxies
    binds: Mapping[str, str]
    packets: bool = False

    def address(self, caller: str, called: str) -> str:
        """See `Lines`."""
        return self.proxies.address(caller, called)

    def change(self, weather: Weather, suits: Callable[[str, str], bool] = lambda _from, _to: True) -> None:
        """See `Lines`."""
        self.proxies.change(weather, suits)

    def launch(self, job: Job, environment: Mapping[str, str]) -> Running:
        """See `Lines`."""
        return launch(job, environment)

    def command(self, name: str, command: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  # all are in one place
        """See `Lines`."""
        return command


@contextlib.contextmanager
def open_lines(names: Sequence[str], *, namespaces: bool, seed: int = 0) -> Iterator[Lines]:
    """Lines between all nodes for as long as it is entered; the nodes must have ended before.

    Args:
        namespaces: a network namespace for each node; else loopback.
        seed: of losses.

    Raises:
        NetworkError: this machine cannot have them.
    """
    if namespaces:
        with open_places(names) as places, Switch(places.ports, seed=seed) as switch:
            yield _PlaceLines(places, switch, {name: f"{port.address}:{PORT}" for name, port in places.ports.items()})
        return
    binds = {name: f"{HOST}:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    with Proxies(binds) as proxies:
        yield _LoopbackLines(proxies, binds)
