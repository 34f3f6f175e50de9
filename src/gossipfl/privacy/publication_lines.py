"""One line of the publication log: what it says, and how it hangs on the line before.

line = JSON, tab, base64 of the signature over exactly the bytes of the JSON, newline
JSON.previous = SHA-256 of the line before, without its newline; 64 zeros in the first
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gossipfl.core.json_text import json_text
from gossipfl.privacy.signing import Signer

START = "0" * 64
_FORMAT = "gossipfl publications 1"
_ROLLBACK_FORMAT = "gossipfl publications 2"
"""Of a line that tells of a rollback, and of no publication."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One state that goes to one receiver.

    Attributes:
        receiver: name of the neighbor.
        state: `AdapterState.digest()` of the state, before it is encoded.
        epsilon, delta, charges, head: of the receipt that covers it; ε is infinite without privacy.
    """

    receiver: str
    state: str
    epsilon: float
    delta: float
    charges: int
    head: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """The node is about to go on from an earlier state; what it published stays published, and what it paid, paid.

    Attributes:
        plan: digest of the common checkpoint's plan.
        phase: of that state.
        state: `AdapterState.digest()` of what would be published of it.
        branch: of the run from here on.
    """

    plan: str
    phase: int
    state: str
    branch: str


@dataclass(frozen=True, slots=True)
class Published:
    """A publication in the log.

    Attributes:
        sequence: its number in the log, from 1.
        time: UTC, ISO 8601.
        publication: what went where.
    """

    sequence: int
    time: str
    publication: Publication


@dataclass(frozen=True, slots=True)
class Line:
    """A line taken apart.

    Attributes:
        previous: hash of the line before, hex.
        published: what it tells of, in order; nothing where it tells of a rollback.
        signed: the bytes under the signature.
        signature: DER.
        rollback: which one.
    """

    previous: str
    published: tuple[Published, ...]
    signed: bytes
    signature: bytes
    rollback: Rollback | None = None


def write_line(publications: Sequence[Publication], *, first: int, previous: str, signer: Signer) -> bytes:
    """The line, signed, with its newline; `first` is the sequence of the first publication."""
    told = {"first": first, "publications": publications}
    return _signed({"format": _FORMAT, "previous": previous, "time": _now(), **told}, signer)


def write_rollback(rollback: Rollback, *, first: int, previous: str, signer: Signer) -> bytes:
    """The line of a rollback, signed, with its newline; `first` is the sequence of the next publication."""
    told = {"first": first, "publications": [], "rollback": rollback}
    return _signed({"format": _ROLLBACK_FORMAT, "previous": previous, "time": _now(), **told}, signer)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _signed(content: Mapping[str, object], signer: Signer) -> bytes:
    signed = json_text(content).encode()
    return signed + b"\t" + base64.b64encode(signer.sign(signed)) + b"\n"


def read_line(line: bytes) -> Line:
    """Takes a line apart; without looking whether its signature and place are right.

    Raises:
        ValueError: this is no line of a publication log.
    """
    signed, tab, signature = line.rstrip(b"\n").partition(b"\t")
    try:
        body = json.loads(signed)
        rollback = _rollback(body["rollback"]) if body["format"] == _ROLLBACK_FORMAT else None
        if not tab or body["format"] not in {_FORMAT, _ROLLBACK_FORMAT}:
            raise ValueError(f"the format is not {_FORMAT!r}")
        time, first = str(body["time"]), int(body["first"])
        rows = [_publication(row) for row in body["publications"]]
        if bool(rows) == (rollback is not None) or first < 1:
            raise ValueError("a line tells of at least one publication, or of a rollback")
        published = tuple(Published(first + k, time, row) for k, row in enumerate(rows))
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw) != signature:
            raise ValueError("the signature is not written as it should be")
        return Line(str(body["previous"]), published, signed, raw, rollback)
    except (KeyError, TypeError, OverflowError, RecursionError, UnicodeDecodeError, binascii.Error) as error:
        raise ValueError("a field is missing or wrong") from error


def _publication(row: Mapping[str, object]) -> Publication:
    receiver, state, charges, head = row["receiver"], row["state"], row["charges"], row["head"]
    if not (
        isinstance(receiver, str) and isinstance(state, str) and isinstance(head, str) and isinstance(charges, int)
    ):
        raise TypeError("a field of another type")
    return Publication(receiver, state, _positive(row["epsilon"]), _positive(row["delta"]), charges, head)


def _rollback(row: Mapping[str, object]) -> Rollback:
    plan, phase, state, branch = row["plan"], row["phase"], row["state"], row["branch"]
    if not (isinstance(plan, str) and isinstance(phase, int) and isinstance(state, str) and isinstance(branch, str)):
        raise TypeError("a field of another type")
    return Rollback(plan, phase, state, branch)


def _positive(value: object) -> float:
    number = float(value) if isinstance(value, int | float | str) else math.nan
    if not number >= 0:
        raise ValueError(f"{value!r} is neither ε nor δ")
    return number


def hash_of(line: bytes) -> str:
    """What the next line names as `previous`."""
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()
