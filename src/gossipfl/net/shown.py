"""What TLS at this node's port shows, and whom it believes."""

import grpc

from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust


class Shown:
    """The certificates of one port.

    gRPC asks for news at every handshake, on any of its threads. It exchanges what it has without a lock: told the same
    anew each time, handshakes side by side freed it under each other, and whoever dialed often could crash the node
    (1.85.1; `tsi_ssl_handshaker_factory` used after it was freed). So it is told what has changed, and else nothing.
    """

    def __init__(self, identity: Identity, trust: Trust) -> None:
        self._pair = (identity.key, identity.certificate)
        self._trust = trust
        self._told = b""

    def now(self) -> grpc.ServerCertificateConfiguration:
        """To begin with."""
        self._told = self._trust.server_roots()
        return grpc.ssl_server_certificate_configuration([self._pair], root_certificates=self._told)

    def news(self) -> grpc.ServerCertificateConfiguration | None:
        """What has changed since: pinned certificates become known while the node runs; None: nothing."""
        return None if self._trust.server_roots() == self._told else self.now()
