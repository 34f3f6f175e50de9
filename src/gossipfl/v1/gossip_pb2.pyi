from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("hello", "envelope", "chunk", "ack", "paper")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    PAPER_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    envelope: Envelope
    chunk: bytes
    ack: Ack
    paper: Paper
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., envelope: _Optional[_Union[Envelope, _Mapping]] = ..., chunk: _Optional[bytes] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., paper: _Optional[_Union[Paper, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "name", "fingerprint", "basis_sketch", "codecs", "incarnation", "seen_incarnation", "topology_version", "ledger_head", "certificate", "seen_message", "noise_key", "trace_seed")
    class FingerprintEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    BASIS_SKETCH_FIELD_NUMBER: _ClassVar[int]
    CODECS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEEN_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEDGER_HEAD_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    SEEN_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NOISE_KEY_FIELD_NUMBER: _ClassVar[int]
    TRACE_SEED_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    name: str
    fingerprint: _containers.ScalarMap[str, str]
    basis_sketch: _containers.RepeatedScalarFieldContainer[float]
    codecs: _containers.RepeatedScalarFieldContainer[str]
    incarnation: int
    seen_incarnation: int
    topology_version: int
    ledger_head: LedgerHead
    certificate: bytes
    seen_message: Mark
    noise_key: bytes
    trace_seed: bytes
    def __init__(self, protocol_version: _Optional[int] = ..., name: _Optional[str] = ..., fingerprint: _Optional[_Mapping[str, str]] = ..., basis_sketch: _Optional[_Iterable[float]] = ..., codecs: _Optional[_Iterable[str]] = ..., incarnation: _Optional[int] = ..., seen_incarnation: _Optional[int] = ..., topology_version: _Optional[int] = ..., ledger_head: _Optional[_Union[LedgerHead, _Mapping]] = ..., certificate: _Optional[bytes] = ..., seen_message: _Optional[_Union[Mark, _Mapping]] = ..., noise_key: _Optional[bytes] = ..., trace_seed: _Optional[bytes] = ...) -> None: ...

class Mark(_message.Message):
    __slots__ = ("incarnation", "sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class LedgerHead(_message.Message):
    __slots__ = ("charges", "hash", "incarnation", "signature")
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    charges: int
    hash: bytes
    incarnation: int
    signature: bytes
    def __init__(self, charges: _Optional[int] = ..., hash: _Optional[bytes] = ..., incarnation: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("sender", "receiver", "incarnation", "sequence", "reference", "acknowledged", "round", "step", "push_weight", "codec", "done", "settled", "ledger_head", "payload_bytes", "digest", "settle_rounds", "layout", "acknowledged_incarnation", "publication", "after", "flow_bytes", "asks", "answers", "booked", "letter", "roster")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PUSH_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEDGER_HEAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SETTLE_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PUBLICATION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FLOW_BYTES_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    BOOKED_FIELD_NUMBER: _ClassVar[int]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    sender: str
    receiver: str
    incarnation: int
    sequence: int
    reference: int
    acknowledged: int
    round: int
    step: int
    push_weight: float
    codec: str
    done: bool
    settled: bool
    ledger_head: LedgerHead
    payload_bytes: int
    digest: bytes
    settle_rounds: int
    layout: bytes
    acknowledged_incarnation: int
    publication: int
    after: int
    flow_bytes: int
    asks: int
    answers: int
    booked: int
    letter: str
    roster: bytes
    def __init__(self, sender: _Optional[str] = ..., receiver: _Optional[str] = ..., incarnation: _Optional[int] = ..., sequence: _Optional[int] = ..., reference: _Optional[int] = ..., acknowledged: _Optional[int] = ..., round: _Optional[int] = ..., step: _Optional[int] = ..., push_weight: _Optional[float] = ..., codec: _Optional[str] = ..., done: bool = ..., settled: bool = ..., ledger_head: _Optional[_Union[LedgerHead, _Mapping]] = ..., payload_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ..., settle_rounds: _Optional[int] = ..., layout: _Optional[bytes] = ..., acknowledged_incarnation: _Optional[int] = ..., publication: _Optional[int] = ..., after: _Optional[int] = ..., flow_bytes: _Optional[int] = ..., asks: _Optional[int] = ..., answers: _Optional[int] = ..., booked: _Optional[int] = ..., letter: _Optional[str] = ..., roster: _Optional[bytes] = ...) -> None: ...

class KeyOffer(_message.Message):
    __slots__ = ("sender", "receiver", "key", "signature", "certificate")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    sender: str
    receiver: str
    key: bytes
    signature: bytes
    certificate: bytes
    def __init__(self, sender: _Optional[str] = ..., receiver: _Optional[str] = ..., key: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class KeyRoster(_message.Message):
    __slots__ = ("offers", "context", "context_signature", "certificate")
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[KeyOffer]
    context: bytes
    context_signature: bytes
    certificate: bytes
    def __init__(self, offers: _Optional[_Iterable[_Union[KeyOffer, _Mapping]]] = ..., context: _Optional[bytes] = ..., context_signature: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("sequence", "rejected")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    rejected: str
    def __init__(self, sequence: _Optional[int] = ..., rejected: _Optional[str] = ...) -> None: ...

class Paper(_message.Message):
    __slots__ = ("line",)
    LINE_FIELD_NUMBER: _ClassVar[int]
    line: bytes
    def __init__(self, line: _Optional[bytes] = ...) -> None: ...

class Asked(_message.Message):
    __slots__ = ("refused",)
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    refused: str
    def __init__(self, refused: _Optional[str] = ...) -> None: ...

class TunnelFrame(_message.Message):
    __slots__ = ("offer", "ask", "opened", "data")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offer: TunnelOffer
    ask: str
    opened: str
    data: bytes
    def __init__(self, offer: _Optional[_Union[TunnelOffer, _Mapping]] = ..., ask: _Optional[str] = ..., opened: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class TunnelOffer(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MembersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Member(_message.Message):
    __slots__ = ("name", "address", "up", "incarnation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    up: bool
    incarnation: int
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., up: bool = ..., incarnation: _Optional[int] = ...) -> None: ...

class MembersReply(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class MemberCard(_message.Message):
    __slots__ = ("name", "address", "incarnation", "left", "proof")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    incarnation: int
    left: bool
    proof: bytes
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., incarnation: _Optional[int] = ..., left: bool = ..., proof: _Optional[bytes] = ...) -> None: ...

class MemberDoubt(_message.Message):
    __slots__ = ("name", "incarnation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    incarnation: int
    def __init__(self, name: _Optional[str] = ..., incarnation: _Optional[int] = ...) -> None: ...

class MemberWord(_message.Message):
    __slots__ = ("kind", "number", "about", "proof", "digest", "cards", "doubts")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PING: _ClassVar[MemberWord.Kind]
        ACK: _ClassVar[MemberWord.Kind]
        ASK: _ClassVar[MemberWord.Kind]
        PASS: _ClassVar[MemberWord.Kind]
        NEWS: _ClassVar[MemberWord.Kind]
    PING: MemberWord.Kind
    ACK: MemberWord.Kind
    ASK: MemberWord.Kind
    PASS: MemberWord.Kind
    NEWS: MemberWord.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CARDS_FIELD_NUMBER: _ClassVar[int]
    DOUBTS_FIELD_NUMBER: _ClassVar[int]
    kind: MemberWord.Kind
    number: int
    about: str
    proof: bytes
    digest: int
    cards: _containers.RepeatedCompositeFieldContainer[MemberCard]
    doubts: _containers.RepeatedCompositeFieldContainer[MemberDoubt]
    def __init__(self, kind: _Optional[_Union[MemberWord.Kind, str]] = ..., number: _Optional[int] = ..., about: _Optional[str] = ..., proof: _Optional[bytes] = ..., digest: _Optional[int] = ..., cards: _Optional[_Iterable[_Union[MemberCard, _Mapping]]] = ..., doubts: _Optional[_Iterable[_Union[MemberDoubt, _Mapping]]] = ...) -> None: ...

class Told(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("details",)
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    details: bool
    def __init__(self, details: bool = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("name", "step", "phase", "epsilon", "neighbors_up", "neighbors", "staleness", "bytes_sent", "bytes_received", "rejected", "state", "test_loss", "test_accuracy", "details")
    class RejectedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_UP_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    STALENESS_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEST_LOSS_FIELD_NUMBER: _ClassVar[int]
    TEST_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    name: str
    step: int
    phase: int
    epsilon: float
    neighbors_up: int
    neighbors: int
    staleness: int
    bytes_sent: int
    bytes_received: int
    rejected: _containers.ScalarMap[str, int]
    state: str
    test_loss: float
    test_accuracy: float
    details: StatusDetails
    def __init__(self, name: _Optional[str] = ..., step: _Optional[int] = ..., phase: _Optional[int] = ..., epsilon: _Optional[float] = ..., neighbors_up: _Optional[int] = ..., neighbors: _Optional[int] = ..., staleness: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ..., rejected: _Optional[_Mapping[str, int]] = ..., state: _Optional[str] = ..., test_loss: _Optional[float] = ..., test_accuracy: _Optional[float] = ..., details: _Optional[_Union[StatusDetails, _Mapping]] = ...) -> None: ...

class StatusDetails(_message.Message):
    __slots__ = ("steps_planned", "target_epsilon", "edges", "rejections", "history")
    STEPS_PLANNED_FIELD_NUMBER: _ClassVar[int]
    TARGET_EPSILON_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    steps_planned: int
    target_epsilon: float
    edges: _containers.RepeatedCompositeFieldContainer[EdgeStatus]
    rejections: _containers.RepeatedCompositeFieldContainer[Rejection]
    history: _containers.RepeatedCompositeFieldContainer[Measured]
    def __init__(self, steps_planned: _Optional[int] = ..., target_epsilon: _Optional[float] = ..., edges: _Optional[_Iterable[_Union[EdgeStatus, _Mapping]]] = ..., rejections: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[Measured, _Mapping]]] = ...) -> None: ...

class EdgeStatus(_message.Message):
    __slots__ = ("neighbor", "up", "bytes_sent", "bytes_received", "staleness", "distance")
    NEIGHBOR_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    STALENESS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    neighbor: str
    up: bool
    bytes_sent: int
    bytes_received: int
    staleness: int
    distance: float
    def __init__(self, neighbor: _Optional[str] = ..., up: bool = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ..., staleness: _Optional[int] = ..., distance: _Optional[float] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("peer", "reason", "times", "ago_s")
    PEER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    AGO_S_FIELD_NUMBER: _ClassVar[int]
    peer: str
    reason: str
    times: int
    ago_s: float
    def __init__(self, peer: _Optional[str] = ..., reason: _Optional[str] = ..., times: _Optional[int] = ..., ago_s: _Optional[float] = ...) -> None: ...

class Measured(_message.Message):
    __slots__ = ("step", "epsilon", "test_loss", "test_accuracy", "distance")
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    TEST_LOSS_FIELD_NUMBER: _ClassVar[int]
    TEST_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    step: int
    epsilon: float
    test_loss: float
    test_accuracy: float
    distance: float
    def __init__(self, step: _Optional[int] = ..., epsilon: _Optional[float] = ..., test_loss: _Optional[float] = ..., test_accuracy: _Optional[float] = ..., distance: _Optional[float] = ...) -> None: ...
