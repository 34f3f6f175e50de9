"""Signed common checkpoints as they lie on a disk, verified."""

from collections.abc import Mapping
from pathlib import Path

from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.core.common import Gathered, gather
from gossipfl.core.papers import Believes
from gossipfl.errors import ConfigError, StateError
from gossipfl.net.certificate_files import read_certificate
from gossipfl.net.identity import Identity, load_identity
from gossipfl.net.pinning import Trust
from gossipfl.node.assembly import state_dir_of
from gossipfl.node.common_files import CommonFiles, read_signed
from gossipfl.node.vouching import has_signed


def verified(path: Path, believes: Believes) -> tuple[Gathered, dict[str, str]]:
    """What the papers in a file amount to, and why some do not count, by line.

    Raises:
        StateError: it holds no signed plan.
    """
    try:
        return gather(read_signed(path), believes)
    except ValueError as error:
        raise StateError(f"{path} is no signed common checkpoint: {error}") from error


def believers_in(authority: Path | None, peers: Path | None) -> Believes:
    """Who says whose signature is whose, for anybody: the authority, or all that a peers.yaml knows.

    Raises:
        UserError: neither or both are given, or cannot be read.
    """
    if (authority is None) == (peers is None):
        raise ConfigError("checkpoint verify needs --authority or --peers, one of the two")
    if authority is not None:
        return has_signed(Trust(Identity("", authority=read_certificate(authority, field="--authority"))))
    loaded = load_peers(peers or Path())
    pins = {node.name: node.fingerprint for node in loaded.peers.nodes if node.fingerprint}
    path = loaded.peers.authority
    pem = None if path is None else read_certificate(loaded.folder / path, field="authority")
    return has_signed(Trust(Identity("", authority=pem, pins=pins)))


def found_in(peers: Path, *, name: str | None, state_dir: Path | None, environ: Mapping[str, str]) -> list[Gathered]:
    """All that a node's state directory has, oldest first.

    Raises:
        UserError: peers.yaml, certificates or the directory are not what they should be.
    """
    loaded = load_peers(peers)
    me = resolve_self(loaded.peers, name, environ)
    identity = load_identity(loaded.peers, loaded.folder, me, neighbors=(), insecure=False)
    files = CommonFiles(state_dir or state_dir_of(loaded, me))
    believes = has_signed(Trust(identity))
    return [verified(files.signed(key), believes)[0] for key in files.keys()]  # noqa: SIM118  # no mapping
