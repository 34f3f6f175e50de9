"""A node's guard, by `protection.kind`."""

from gossipfl.protection.agreement import Draw
from gossipfl.protection.homomorphic import Homomorphic
from gossipfl.protection.letters import Guard
from gossipfl.protection.masking import Masking
from gossipfl.protection.terms import Terms
from gossipfl.protection.vouching import Voucher
from gossipfl.state import AdapterState


def build_guard(terms: Terms, voucher: Voucher, draw: Draw) -> Guard[AdapterState]:
    """For one life of a node.

    Args:
        terms: of a kind that protects.
        draw: secret bytes for keys.
    """
    match terms.config.kind:
        case "masked":
            return Masking(terms, voucher, draw)
        case "homomorphic":
            return Homomorphic(terms, voucher, draw)
        case "plain":
            raise AssertionError("where nothing is protected there is no guard")
