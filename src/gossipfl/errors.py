"""Every error that gossipfl raises on purpose.

    GossipflError
    ├── UserError                the user's mistake: one line, exit code 2, before work starts
    │   ├── ConfigError          a field of peers.yaml or experiment.yaml
    │   ├── TopologyError        the graph
    │   ├── DataError            the records a node was given
    │   ├── ModelError           base model, adapter targets, basis
    │   ├── TrainingError        training that cannot go on
    │   │   └── DivergedError    values that are no longer finite
    │   ├── CertificateError     keys and certificates
    │   ├── PrivacyError         a plan that no noise can keep
    │   │   ├── BudgetSpentError the data's account has nothing left
    │   │   └── LedgerError      the ledger cannot be read or written
    │   ├── NetworkError         an address or port of this node
    │   └── StateError           the state directory
    └── PeerError                what a peer sent or did: counted by `reason`, logged, dropped
        ├── HandshakeError       the peer runs another experiment
        └── MessageError         one message that fails a check

A bug of ours is none of these: it crashes.
"""


class GossipflError(Exception):
    """Base of every error raised on purpose."""


class UserError(GossipflError):
    """The user can put it right; the message names field, value and expectation."""


class ConfigError(UserError):
    """A field of a configuration file does not hold what it should."""


class TopologyError(UserError):
    """The graph cannot carry gossip."""


class DataError(UserError):
    """The records are missing, empty or not what the task needs."""


class ModelError(UserError):
    """The base model, its adapter targets or its basis do not fit."""


class TrainingError(UserError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """Training ran away: values are no longer finite."""


class CertificateError(UserError):
    """A key or certificate is missing, expired or belongs to another node."""


class PrivacyError(UserError):
    """The wished privacy cannot be kept."""


class BudgetSpentError(PrivacyError):
    """The account of this data has no ε left for another step."""


class LedgerError(PrivacyError):
    """The ledger cannot be read or written; nothing trains without it."""


class NetworkError(UserError):
    """This node cannot use its own address or port."""


class StateError(UserError):
    """The state directory is unusable or belongs to another experiment."""


class PeerError(GossipflError):
    """A peer sent or did something it must not; it never stops this node.

    Attributes:
        peer: name of the peer as its certificate gives it, or its network address.
        reason: short word under which the rejection is counted, for example `"shape"`.
        counted: it is among the figures; who sees it next does not count it again.
    """

    def __init__(self, message: str, *, peer: str, reason: str) -> None:
        super().__init__(message)
        self.peer = peer
        self.reason = reason
        self.counted = False


class HandshakeError(PeerError):
    """The peer's experiment, protocol version or ledger head does not fit ours."""


class MessageError(PeerError):
    """One message failed a check and was dropped."""
