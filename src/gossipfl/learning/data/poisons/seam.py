"""What an attack on training data does to a record."""

from typing import Protocol

from gossipfl.learning.data.records import Record


class Poison(Protocol):
    """Makes another record of one.

    Attributes:
        share: of an attacker's records that are altered.
    """

    @property
    def share(self) -> float:
        """See the class."""
        ...

    def altered(self, record: Record) -> Record:
        """What is trained on in its place; the record itself where there is nothing to alter."""
        ...

    def tried(self, record: Record) -> Record | None:
        """By what it is seen whether honest nodes have learned it; None: this record tells nothing."""
        ...
