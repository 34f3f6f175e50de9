"""Whether a node would be let onto the network, or come onto it at all, as it would be started."""

from gossipfl.config.loading import LoadedPeers
from gossipfl.config.peers import NodeConfig
from gossipfl.core.protocol import Schedule
from gossipfl.net.identity import load_identity
from gossipfl.node.guarding import refuse_unsigned
from gossipfl.node.newcomers import joining
from gossipfl.node.shared_noise import refuse_strangers

WITHOUT = "--insecure: no certificate is checked, and none protects: anybody on the way can read and forge messages"
"""What a check without certificates notes."""


def check_certificates(loaded: LoadedPeers, node: NodeConfig, schedule: Schedule | None) -> None:
    """Of a node whose key is, or should be, on this machine.

    Args:
        schedule: None: not known, and all other nodes are taken for neighbors.

    Raises:
        CertificateError: see `load_identity`.
    """
    neighbors = None if schedule is None else schedule.neighbors(node.name)
    load_identity(loaded.peers, loaded.folder, node, neighbors=neighbors)


def check_without(loaded: LoadedPeers) -> None:
    """Whether the experiment does without certificates, as `gossipfl node --insecure` asks.

    Raises:
        ConfigError, PrivacyError, CertificateError: it needs them.
    """
    experiment = loaded.experiment.experiment
    joining(loaded, (), insecure=True)
    refuse_strangers(experiment, insecure=True)
    refuse_unsigned(experiment.protection, insecure=True)
