"""What a node agrees to do together with all, out of its own files; and which runs have common checkpoints."""

from collections.abc import Mapping

from gossipfl.config.loading import LoadedPeers
from gossipfl.core.common import BRANCH, Terms, federation_of
from gossipfl.errors import StateError
from gossipfl.net.pinning import Trust
from gossipfl.node.checkpoint import Saved
from gossipfl.node.common import Common
from gossipfl.node.common_files import CommonFiles
from gossipfl.node.greeting import Greeter
from gossipfl.node.state_directory import StateDirectory
from gossipfl.node.vouching import Certified
from gossipfl.privacy.signing import Signer


def terms_of(loaded: LoadedPeers, name: str, fingerprint: Mapping[str, str], *, insecure: bool) -> Terms:
    """What a node agrees to, by its own peers.yaml.

    Args:
        fingerprint: by which it greets, with its branch.
    """
    gossip = loaded.experiment.experiment.gossip
    return Terms(
        name=name,
        federation=federation_of(fingerprint),
        branch=fingerprint.get(BRANCH, ""),
        nodes=loaded.names,
        phases=loaded.experiment.experiment.training.phases,
        coordinators=loaded.peers.coordinators,
        unfit=unfit(loaded, insecure=insecure),
        rounds_per_phase=gossip.rounds_per_phase if gossip.protocol in {"sync", "noloco"} else 0,
    )


def unfit(loaded: LoadedPeers, *, insecure: bool) -> str:
    """Why nodes of these files have no common checkpoints; empty: they may have."""
    experiment = loaded.experiment.experiment
    if insecure:
        return "without TLS nobody can sign"
    if loaded.peers.membership == "dynamic":
        return "membership dynamic: nobody can say who all nodes are"
    if experiment.gossip.protocol in {"push_sum", "pairwise"}:
        return (
            f"gossip.protocol {experiment.gossip.protocol} keeps books of every edge at both ends, and states that are "
            "kept at different times do not fit them; sync, noloco and wait_free keep none"
        )
    if experiment.protection.sums_only:
        return (
            f"protection {experiment.protection.kind}: states of before would be summed again, and two sums over "
            "nodes that differ by one give the state of that one"
        )
    return ""


def branch_of(saved: Saved | None, given: str | None) -> str:
    """The branch that a node goes on in.

    Args:
        given: of a node that was not there when the others were rolled back.

    Raises:
        StateError: it has a state of another branch.
    """
    if saved is None:
        return given or ""
    if given is not None and given != saved.branch:
        raise StateError(
            f"--branch {given}: this node has a state of branch {saved.branch or 'none'}; gossipfl rollback takes it "
            "back to a common checkpoint"
        )
    return saved.branch


def common_for(
    loaded: LoadedPeers, trust: Trust, signer: Signer, greeter: Greeter, directory: StateDirectory
) -> Common:
    """The part of a node in what all do together."""
    identity = trust.identity
    terms = terms_of(loaded, identity.name, greeter.fingerprint, insecure=identity.insecure)
    return Common(terms, CommonFiles(directory.path), Certified(identity, signer, trust), greeter.ledger_head)
