"""A signed paper: what a node says once, and anybody can hold it to who knows the authority.

line = JSON, tab, base64 of the signer's certificate (PEM), tab, base64 of the signature over exactly the JSON's bytes

The JSON begins with its format, so that a paper of one kind never passes for another. Whether it is signed by whom it
names is asked of whoever knows certificates: `Believes`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 1 << 16
"""Of a line: more is no paper."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A line taken apart; nothing in it is believed yet.

    Attributes:
        text: the JSON, as it was signed.
        certificate: of the signer, PEM.
        signature: DER.
    """

    text: bytes
    certificate: bytes
    signature: bytes

    @property
    def line(self) -> bytes:
        """As it travels and lies in files, without a newline."""
        return b"\t".join((self.text, base64.b64encode(self.certificate), base64.b64encode(self.signature)))


Believes = Callable[[str, Paper], bool]
"""Whether the node of that name has signed a paper, by a certificate that authority or pin vouches for."""


def read_paper(line: bytes) -> Paper:
    """Takes a line apart.

    Raises:
        ValueError: it is no paper.
    """
    parts = line.rstrip(b"\n").split(b"\t")
    if len(line) > MOST_BYTES or len(parts) != 3:
        raise ValueError(f"{len(line)} bytes in {len(parts)} parts; three were expected, of {MOST_BYTES} bytes at most")
    try:
        certificate, signature = (base64.b64decode(part, validate=True) for part in parts[1:])
    except binascii.Error as error:
        raise ValueError("certificate and signature are not written as they should be") from error
    return Paper(parts[0], certificate, signature)


def body_of(paper: Paper, form: str) -> Mapping[str, Any] | None:
    """What a paper of this format says; None: it is one of another.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        body = json.loads(paper.text)
    except (ValueError, RecursionError) as error:
        raise ValueError("a paper that is no JSON") from error
    if not isinstance(body, dict) or body.get("format") != form:
        return None
    return body
