"""Faults at the door: a certificate that has run out, and a neighbor that sends garbage."""

import sys
from datetime import UTC, datetime, timedelta

from gossipfl.net.certificate_files import read_authority
from gossipfl.net.issuing import CLOCK_SKEW, Lifetime, make_node
from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground
from gossipfl.studies.drill.weather import FAIR, Weather

_EXPIRING, _FLOODED, _FLOODING = 1, 0, 3
VALID_S = 60.0
"""From the start of the node whose certificate runs out: enough for it to be up, on a busy machine too."""
SILENCE_S = 20.0
"""Longer than links live without a sign: the node has to introduce itself anew."""
REFUSED_S = 45.0
"""By when somebody has tried to reach it again: attempts are up to 15 seconds apart, and 10 long."""
FLOOD_S = 10.0
MOST_GROWTH_BYTES = 100_000_000
"""By which a node that is flooded may grow."""


def _certify(ground: Ground, end: datetime) -> None:
    """Gives the node a certificate until then, and starts it with that."""
    name, folder = ground.names[_EXPIRING], ground.folder / "arm" / "certs"
    authority = read_authority(folder / "authority.pem", folder / "authority.key")
    lifetime = Lifetime(datetime.now(UTC) - CLOCK_SKEW, end)
    pair = make_node(name, ground.lines.binds[name], authority=authority, lifetime=lifetime)
    ground.kill(name)
    (folder / f"{name}.pem").write_bytes(pair.certificate)
    # the mode stays as it was made
    (folder / f"{name}.key").write_bytes(pair.key)
    ground.start(name)


def _run_out(ground: Ground) -> None:
    name = ground.names[_EXPIRING]
    _certify(ground, datetime.now(UTC) + timedelta(seconds=VALID_S))
    ground.wait(VALID_S)
    ground.lines.change(Weather(cut=True), lambda sender, receiver: name in {sender, receiver})
    ground.wait(SILENCE_S)
    ground.lines.change(FAIR)
    ground.until(lambda: _is_refused(ground), REFUSED_S)


def _is_refused(ground: Ground) -> bool:
    others = [name for name in ground.names if name != ground.names[_EXPIRING]]
    return any(ground.rejected(name).get("certificate") for name in others)


def _renew(ground: Ground) -> None:
    if not _is_refused(ground):
        ground.note("nobody refused a certificate that had run out")
    _certify(ground, datetime.now(UTC) + timedelta(days=30))


def _flood(ground: Ground) -> None:
    """A program with a neighbor's certificate says to one node whatever comes to its mind."""
    flooding, flooded = ground.names[_FLOODING], ground.names[_FLOODED]
    ground.kill(flooding)
    ground.watch_memory(flooded)
    peers = str(ground.folder / "arm" / f"peers-{flooding}.yaml")
    program = [sys.executable, "-m", "gossipfl.net.flood", peers, flooding, flooded, str(FLOOD_S)]
    ground.run_beside(ground.lines.command(flooding, program))


def _end_flood(ground: Ground) -> None:
    flooded = ground.names[_FLOODED]
    ground.end_beside()
    growth = ground.grown_bytes()
    if growth > MOST_GROWTH_BYTES:
        ground.note(f"{flooded} has grown by {growth / 1e6:.0f} MB under the flood")
    if not ground.rejected(flooded):
        ground.note(f"{flooded} has rejected nothing: was there a flood?")
    ground.start(ground.names[_FLOODING])


CERTIFICATE = Fault("certificate", "a certificate runs out, and is renewed", 1.0, _run_out, _renew, hurt=(_EXPIRING,))
GARBAGE = Fault("garbage", "a neighbor's program that floods a node", FLOOD_S, _flood, _end_flood, hurt=(_FLOODING,))
