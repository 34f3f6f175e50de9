"""A real node's guard: keys of this life from the operating system, signed by the node's certificate."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping

from gossipfl.config.experiment import Experiment
from gossipfl.config.protection import ProtectionConfig
from gossipfl.core.protocol import Schedule
from gossipfl.errors import CertificateError
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust
from gossipfl.node.vouching import Certified
from gossipfl.privacy.signing import Signer
from gossipfl.protection.guards import build_guard
from gossipfl.protection.letters import Guard
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Unsigned, Voucher
from gossipfl.state import AdapterSpec, AdapterState


def guard_for(
    experiment: Experiment, trust: Trust, schedule: Schedule, spec: AdapterSpec, fingerprint: Mapping[str, str]
) -> Guard[AdapterState] | None:
    """For this life of the node that `trust` belongs to; None where states travel as they are.

    Args:
        spec: of what is exchanged.
        fingerprint: of the experiment, by component.

    Raises:
        CertificateError: nothing says how keys are signed, or by what those of other nodes are known.
    """
    if not experiment.protection.sums_only:
        return None
    identity = trust.identity
    text = json.dumps(dict(sorted(fingerprint.items())))
    digest = hashlib.sha256(text.encode()).digest()
    terms = Terms(identity.name, schedule, experiment.protection, spec, digest, experiment.gossip.max_norm)
    voucher = _voucher(experiment, trust, {name for each in terms.receivers for name in terms.weights(each)})
    return build_guard(terms, voucher, lambda _, size: os.urandom(size))


def refuse_unsigned(protection: ProtectionConfig, *, insecure: bool) -> None:
    """Raises `CertificateError` where keys have to be signed, and nothing is there to sign them with."""
    if insecure and protection.sums_only and not protection.unsigned_trial:
        raise CertificateError(
            f"protection {protection.kind} with --insecure: no certificate signs the keys, so that a receiver could "
            "read every contribution; run with certificates, or say protection.unsigned_trial true for a trial"
        )


def _voucher(experiment: Experiment, trust: Trust, others: Collection[str]) -> Voucher:
    identity = trust.identity
    refuse_unsigned(experiment.protection, insecure=identity.insecure)
    if identity.insecure:
        return Unsigned()
    _check_known(identity, experiment.protection.kind, others)
    return Certified(identity, Signer.from_pem(identity.key), trust)


def _check_known(identity: Identity, kind: str, others: Collection[str]) -> None:
    """Those that a neighbor sums together with this node sign keys, too, and need not be its neighbors."""
    unknown = sorted({*others} - {*identity.pins, identity.name})
    if identity.authority is None and unknown:
        raise CertificateError(
            f"nodes.{unknown[0]}.fingerprint: needed with protection {kind}, since it shares a neighbor with this node "
            "and peers.yaml names no authority (sha256:… of its certificate)"
        )
