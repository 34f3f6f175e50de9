"""Whether server and client are of one experiment: checked as nodes that gossip do at their first greeting.

Of two vectors of equal size nobody sees that they belong to different heads, bases or adapters; their mean is nothing.
"""

import json

from flwr.app import ConfigRecord

from gossipfl.core.handshake import PROTOCOL_VERSION, Greeting, check_greeting
from gossipfl.errors import HandshakeError
from gossipfl.learning.adapters import Adapted

_VERSION, _FINGERPRINT, _SKETCH = "protocol-version", "fingerprint", "basis-sketch"
SERVER = "the server"


def terms_of(adapted: Adapted) -> ConfigRecord:
    """What the server tells its clients with every message: all that must agree, and nothing of data."""
    ours = _greeting(adapted)
    return ConfigRecord(
        {
            _VERSION: ours.protocol_version,
            _FINGERPRINT: json.dumps(dict(ours.fingerprint)),
            _SKETCH: json.dumps(ours.basis_sketch),
        }
    )


def check_terms(terms: ConfigRecord, adapted: Adapted) -> None:
    """Returns if the client's own experiment is that of the server.

    Raises:
        HandshakeError: its message names what differs.
    """
    if _FINGERPRINT not in terms:
        raise HandshakeError(f"{SERVER} does not say which experiment it is of", peer=SERVER, reason="version")
    check_greeting(
        _greeting(adapted),
        _said(int(str(terms[_VERSION])), json.loads(str(terms[_FINGERPRINT])), tuple(json.loads(str(terms[_SKETCH])))),
    )


def _greeting(adapted: Adapted) -> Greeting:
    fingerprint = {**adapted.components(), "weighting": adapted.experiment.flower.weighting}
    return _said(PROTOCOL_VERSION, fingerprint, adapted.basis_sketch)


def _said(version: int, fingerprint: dict[str, str], sketch: tuple[float, ...]) -> Greeting:
    """A greeting with only what matters here: Flower knows who is who, and everything travels in fp32."""
    return Greeting(
        protocol_version=version,
        name=SERVER,
        fingerprint=fingerprint,
        basis_sketch=sketch,
        codecs=("fp32",),
        incarnation=1,
        seen_incarnation=0,
        topology_version=0,
        ledger_head=None,
    )
