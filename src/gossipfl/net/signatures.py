"""Whether a ledger head carries its node's signature."""

import logging
from collections.abc import Callable

from gossipfl.core.handshake import LedgerHead
from gossipfl.errors import CertificateError
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust
from gossipfl.privacy.signing import verify_head

logger = logging.getLogger(__name__)


def signed_by(identity: Identity, trust: Trust) -> Callable[[str, LedgerHead], bool]:
    """What says so; without TLS everything is believed, which is said loudly."""
    if identity.insecure:
        logger.warning("INSECURE: ledger heads of neighbors are believed unsigned")
        return lambda _, __: True

    def signed(peer: str, head: LedgerHead) -> bool:
        certificate = trust.certificate(peer)
        try:
            return certificate is not None and verify_head(certificate, head)
        except CertificateError:
            return False

    return signed
