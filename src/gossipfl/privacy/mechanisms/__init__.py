"""Levels of privacy: how a batch of private data becomes a gradient.

    none      plain mean gradient, ε infinite
    example   DP-SGD: each unit's gradient clipped, their sum noised

A new level is a file and a line in `LEVELS`.
"""

from collections.abc import Callable, Mapping

from gossipfl.core.tables import resolve
from gossipfl.privacy.mechanisms.example import ExampleMechanism
from gossipfl.privacy.mechanisms.none import PlainMechanism
from gossipfl.privacy.mechanisms.parts import Drawn, Mechanism, MechanismParts, Units
from gossipfl.privacy.rows import RowLosses, Rows

LEVELS: Mapping[str, Callable[[MechanismParts], Mechanism]] = {"none": PlainMechanism, "example": ExampleMechanism}


def build_mechanism(level: str, parts: MechanismParts) -> Mechanism:
    """The mechanism of `privacy.level`.

    Raises:
        ConfigError: no such level.
        PrivacyError: the module or the plan does not suit it.
    """
    return resolve(LEVELS, level, field="privacy.level")(parts)


__all__ = ["LEVELS", "Drawn", "Mechanism", "MechanismParts", "RowLosses", "Rows", "Units", "build_mechanism"]
