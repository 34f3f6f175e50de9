"""A node's status as protobuf and back; what came is cut to what an honest node says at most.

Who asks shows it to people: lists have their bounds, words their lengths, and what is no finite number is nothing.
"""

import math
from itertools import islice

from google.protobuf.message import Message

from gossipfl.net.reports import (
    HISTORY,
    REJECTIONS,
    EdgeReport,
    Measured,
    RejectionReport,
    StatusDetails,
    StatusSnapshot,
)
from gossipfl.v1 import gossip_pb2 as pb

REPLY_BYTES = 1 << 18
"""Largest reply that is read; one of a node with a thousand neighbors fits."""
EDGES = 1024
REASONS = 64
WORD = 63
"""Characters of a name, a reason or a state."""


def status_message(snapshot: StatusSnapshot) -> pb.StatusReply:
    """As it travels."""
    return pb.StatusReply(
        name=snapshot.name,
        step=snapshot.step,
        phase=snapshot.phase,
        epsilon=snapshot.epsilon,
        neighbors_up=snapshot.neighbors_up,
        neighbors=snapshot.neighbors,
        staleness=snapshot.staleness,
        bytes_sent=snapshot.bytes_sent,
        bytes_received=snapshot.bytes_received,
        rejected=dict(snapshot.rejected),
        state=snapshot.state,
        test_loss=snapshot.test_loss,
        test_accuracy=snapshot.test_accuracy,
        details=_details_message(snapshot.details) if snapshot.details is not None else None,
    )


def status_of(reply: pb.StatusReply) -> StatusSnapshot:
    """As it came, cut to its bounds."""
    return StatusSnapshot(
        name=reply.name[:WORD],
        step=reply.step,
        phase=reply.phase,
        epsilon=reply.epsilon if reply.epsilon >= 0 else math.inf,
        staleness=reply.staleness,
        state=reply.state[:WORD],
        neighbors_up=reply.neighbors_up,
        neighbors=reply.neighbors,
        bytes_sent=reply.bytes_sent,
        bytes_received=reply.bytes_received,
        rejected={reason[:WORD]: times for reason, times in islice(reply.rejected.items(), REASONS)},
        test_loss=_finite(reply, "test_loss"),
        test_accuracy=_finite(reply, "test_accuracy"),
        details=_details_of(reply.details) if reply.HasField("details") else None,
    )


def _details_message(details: StatusDetails) -> pb.StatusDetails:
    return pb.StatusDetails(
        steps_planned=details.steps_planned,
        target_epsilon=details.target_epsilon,
        edges=[_edge_message(name, edge) for name, edge in details.edges.items()],
        rejections=[_rejection_message(rejection) for rejection in details.rejections],
        history=[_measured_message(point) for point in details.history],
    )


def _edge_message(name: str, edge: EdgeReport) -> pb.EdgeStatus:
    return pb.EdgeStatus(
        neighbor=name,
        up=edge.up,
        bytes_sent=edge.bytes_sent,
        bytes_received=edge.bytes_received,
        staleness=edge.staleness,
        distance=edge.distance,
    )


def _rejection_message(rejection: RejectionReport) -> pb.Rejection:
    return pb.Rejection(
        peer=rejection.peer, reason=rejection.reason, times=rejection.times, ago_s=round(rejection.ago_s, 1)
    )


def _measured_message(point: Measured) -> pb.Measured:
    return pb.Measured(
        step=point.step,
        epsilon=point.epsilon,
        test_loss=point.test_loss,
        test_accuracy=point.test_accuracy,
        distance=point.distance,
    )


def _details_of(details: pb.StatusDetails) -> StatusDetails:
    return StatusDetails(
        steps_planned=details.steps_planned,
        target_epsilon=_finite(details, "target_epsilon"),
        edges={edge.neighbor[:WORD]: _edge_of(edge) for edge in islice(details.edges, EDGES)},
        rejections=tuple(_rejection_of(row) for row in islice(details.rejections, REJECTIONS)),
        history=tuple(_measured_of(point) for point in islice(details.history, HISTORY)),
    )


def _edge_of(edge: pb.EdgeStatus) -> EdgeReport:
    return EdgeReport(
        up=edge.up,
        bytes_sent=edge.bytes_sent,
        bytes_received=edge.bytes_received,
        staleness=edge.staleness if edge.HasField("staleness") else None,
        distance=_finite(edge, "distance"),
    )


def _rejection_of(row: pb.Rejection) -> RejectionReport:
    ago_s = row.ago_s if math.isfinite(row.ago_s) else 0.0
    return RejectionReport(row.peer[:WORD], row.reason[:WORD], row.times, max(ago_s, 0.0))


def _measured_of(point: pb.Measured) -> Measured:
    return Measured(
        step=point.step,
        epsilon=_finite(point, "epsilon"),
        test_loss=_finite(point, "test_loss"),
        test_accuracy=_finite(point, "test_accuracy"),
        distance=_finite(point, "distance"),
    )


def _finite(message: Message, field: str) -> float | None:
    """A field that is there and a finite number."""
    value = float(getattr(message, field)) if message.HasField(field) else math.nan
    return value if math.isfinite(value) else None
