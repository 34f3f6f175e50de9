"""Whom this node trusts, while it runs: the authority, or pinned certificates fetched and compared.

A pinned certificate need not lie on this machine: it is fetched from the node's own port over TLS (a server shows its
certificate to everybody) and kept only if its SHA-256 equals the pin. Only then does gRPC take it as a root.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Mapping

from gossipfl.config.addresses import parse_address
from gossipfl.errors import CertificateError, HandshakeError
from gossipfl.net.certificate_files import check_certificate, is_issued_by, is_self_signed, subject_name
from gossipfl.net.identity import Identity
from gossipfl.net.limits import Limits
from gossipfl.net.revocations import Revocations

logger = logging.getLogger(__name__)


class Trust:
    """Certificates known by now, by node name; every one of them fits its pin."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._known: dict[str, bytes] = {}
        self._revoked = identity.revoked
        self._keep(identity.certificates)

    @property
    def identity(self) -> Identity:
        """Whose trust it is."""
        return self._identity

    def certificate(self, name: str) -> bytes | None:
        """A node's certificate (PEM), if it is known."""
        return self._known.get(name)

    def become(self, identity: Identity) -> None:
        """By what others are known from now on; the node itself is the same."""
        self._identity = identity
        self._keep(identity.certificates)

    def _keep(self, certificates: Mapping[str, bytes]) -> None:
        self._known |= {name: pem for name, pem in certificates.items() if not self._revoked.covers(pem)}

    @property
    def revoked(self) -> Revocations:
        """What the authority has taken back, as far as this node knows."""
        return self._revoked

    def revoke(self, revoked: Revocations) -> bool:
        """Believes a list, and none of the certificates in it any more; whether it is another than before."""
        another, self._revoked = revoked != self._revoked, revoked
        for name in sorted(name for name, pem in self._known.items() if revoked.covers(pem)):
            logger.warning("the certificate of %s was revoked: it is shut out", name, extra={"peer": name})
            del self._known[name]
        return another

    def client_roots(self, name: str) -> bytes | None:
        """What vouches for a node that is dialed; None when its certificate must be fetched first."""
        if name in self._identity.pins or self._identity.authority is None:
            # exactly this certificate, whoever signed it
            return self._known.get(name)
        if self._revoked.serials:
            # what the authority signed need not be good any more, and gRPC's TLS reads no list: only what was looked at
            return self._known.get(name)
        return self._identity.authority

    def server_roots(self) -> bytes:
        """What vouches for those that dial in; grows as pinned certificates become known."""
        pinned = [self._known[name] for name in sorted(self._known) if name in self._identity.pins]
        own = self._identity.authority or self._identity.certificate
        return b"\n".join([own, *(pem for pem in pinned if is_self_signed(pem))])

    def admit(self, name: str, pem: bytes) -> None:
        """Keeps a node's certificate that TLS has verified or that was shown to us.

        Raises:
            HandshakeError: reason certificate: of another node, expired, or neither authority nor pin vouches for it.
        """
        if self._known.get(name) == pem:
            return
        self.check(name, pem)
        self._known[name] = pem

    def check(self, name: str, pem: bytes) -> None:
        """Returns if a certificate is one of this node's, today.

        Raises:
            HandshakeError: as `admit`.
        """
        if self._revoked.covers(pem):
            text = f"the certificate of {name!r} was revoked"
            raise HandshakeError(text, peer=name, reason="certificate")
        try:
            check_certificate(pem, name=name, what=f"certificate of {name!r}", pin=self._identity.pins.get(name))
        except CertificateError as error:
            raise HandshakeError(str(error), peer=name, reason="certificate") from error
        vouched = self._identity.authority is not None and is_issued_by(pem, self._identity.authority)
        if not vouched and not (name in self._identity.pins and is_self_signed(pem)):
            raise HandshakeError(f"nobody vouches for the certificate of {name!r}", peer=name, reason="certificate")

    async def meet(self, address: str, timeout_s: float) -> str:
        """The name of the node at an address, whose certificate the authority has signed.

        Raises:
            HandshakeError: reason certificate: nobody vouches for it.
            OSError: the node is not reachable.
        """
        async with asyncio.timeout(timeout_s):
            pem = await _shown_certificate("", address)
        name = subject_name(pem)
        if name is None:
            raise HandshakeError(f"{address} showed a certificate for nobody", peer=address, reason="certificate")
        self.admit(name, pem)
        return name

    async def fetch(self, name: str, address: str, timeout_s: float) -> None:
        """Gets a node's certificate from its port where it has to be looked at before the node is dialed.

        That is, once, where it is pinned, and each time where some certificates were revoked.

        Raises:
            HandshakeError: reason certificate: it is not the pinned one, or revoked.
            OSError: the node is not reachable.
        """
        pinned = name in self._identity.pins
        if self._known.get(name) is None if pinned else self._revoked.serials:
            async with asyncio.timeout(timeout_s):
                self.admit(name, await _shown_certificate(name, address))


async def get_acquainted(trust: Trust, name: str, address: str, limits: Limits) -> None:
    """Fetches the certificate of a pinned member that is no neighbor, so that it may ask; tries until it has it."""
    while True:
        try:
            await trust.fetch(name, address, limits.connect_timeout_s)
        except (OSError, TimeoutError, HandshakeError) as error:
            logger.debug("certificate of %s: %s", name, error)
            await asyncio.sleep(limits.max_backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load
        else:
            return


async def _shown_certificate(name: str, address: str) -> bytes:
    where = parse_address(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # nothing is believed and nothing is said on this connection: the pin decides about what was shown
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(where.host, where.port, ssl=context, server_hostname=name or where.host)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        # the server hangs up on a client without a certificate; what we wanted is here already
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not shown:
        raise HandshakeError(f"{name or address!r} showed no certificate", peer=name, reason="certificate")
    return ssl.DER_cert_to_PEM_cert(shown).encode()
