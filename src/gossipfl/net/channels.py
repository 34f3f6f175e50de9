"""gRPC channels and their settings.

Message size limits stay at gRPC's defaults. Keepalive pings notice a peer that died without a word (power, network);
a killed process is noticed at once, since its kernel closes the connection.
"""

from collections.abc import Sequence

import grpc

from gossipfl.errors import HandshakeError
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust

SERVICE = "gossipfl.v1.Gossip"
Options = Sequence[tuple[str, int | str]]


def keepalive_options(keepalive_s: float) -> Options:
    """Settings of both ends: ask after so much silence, give up after as much again."""
    silence_ms = int(keepalive_s * 1000)
    return [
        ("grpc.keepalive_time_ms", silence_ms),
        ("grpc.keepalive_timeout_ms", silence_ms),
        # its own default, a minute, would decide whenever the peer's kernel still acknowledges
        ("grpc.http2.ping_timeout_ms", silence_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", silence_ms // 2),
        ("grpc.http2.max_ping_strikes", 0),
    ]


def open_channel(
    identity: Identity, trust: Trust, name: str, address: str, *, keepalive_s: float, limits: Options = ()
) -> "grpc.aio.Channel":
    """A channel to one node; over TLS it opens only to a server whose certificate is for that node.

    Args:
        limits: more of gRPC's options.

    Raises:
        HandshakeError: reason certificate: nothing is known that vouches for the node; fetch its certificate first.
    """
    options = [
        *keepalive_options(keepalive_s),
        *limits,
        # every attempt is a fresh one; how long to wait between them is ours to decide
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    if identity.insecure:
        return grpc.aio.insecure_channel(address, options=options)
    roots = trust.client_roots(name)
    if roots is None:
        raise HandshakeError(f"nothing vouches for {name!r} yet", peer=name, reason="certificate")
    credentials = grpc.ssl_channel_credentials(roots, identity.key, identity.certificate)
    options.append(("grpc.ssl_target_name_override", name))
    return grpc.aio.secure_channel(address, credentials, options=options)


async def reach(
    trust: Trust, name: str, address: str, *, timeout_s: float, keepalive_s: float, limits: Options = ()
) -> "grpc.aio.Channel":
    """The same, where nothing may vouch for the node yet: its pinned certificate is fetched first.

    Args:
        timeout_s: of fetching.

    Raises:
        HandshakeError: reason certificate: it is not the pinned one.
        OSError, TimeoutError: the node is not reachable.
    """
    if not trust.identity.insecure:
        await trust.fetch(name, address, timeout_s)
    return open_channel(trust.identity, trust, name, address, keepalive_s=keepalive_s, limits=limits)
