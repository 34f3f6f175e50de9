"""Levels of privacy: how a batch of private data becomes a gradient, and a phase something that may leave the node.

    none         plain mean gradient, ε infinite
    example      DP-SGD: each unit's gradient clipped, their sum noised; ε of one unit
    update       plain steps, and a phase's whole increment clipped and noised; ε of all the node's data
    correlated   the same, with noise on top that neighbors share and that cancels in their mean

A new level is a file and a line in `LEVELS`.
"""

from collections.abc import Callable, Mapping

from gossipfl.core.tables import resolve
from gossipfl.privacy.mechanisms.correlated import CorrelatedMechanism
from gossipfl.privacy.mechanisms.example import ExampleMechanism
from gossipfl.privacy.mechanisms.none import PlainMechanism
from gossipfl.privacy.mechanisms.parts import Drawn, Mechanism, MechanismParts, Units, Vector
from gossipfl.privacy.mechanisms.update import UpdateMechanism
from gossipfl.privacy.rows import RowLosses, Rows

LEVELS: Mapping[str, Callable[[MechanismParts], Mechanism]] = {
    "none": PlainMechanism,
    "example": ExampleMechanism,
    "update": UpdateMechanism,
    "correlated": CorrelatedMechanism,
}


def build_mechanism(level: str, parts: MechanismParts) -> Mechanism:
    """The mechanism of `privacy.level`.

    Raises:
        ConfigError: no such level.
        PrivacyError: the module or the plan does not suit it.
    """
    return resolve(LEVELS, level, field="privacy.level")(parts)


__all__ = [
    "LEVELS",
    "Drawn",
    "Mechanism",
    "MechanismParts",
    "RowLosses",
    "Rows",
    "Units",
    "Vector",
    "build_mechanism",
]
