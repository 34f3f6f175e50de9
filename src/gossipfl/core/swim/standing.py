"""How a node sees another member."""

from enum import Enum


class Standing(Enum):
    """Of one member.

    UP and DOUBTED take part; DOWN has not answered for long, LEFT said so itself.
    """

    UP = "up"
    DOUBTED = "doubted"
    DOWN = "down"
    LEFT = "left"

    @property
    def takes_part(self) -> bool:
        """Whether it is counted among those that are up: a doubt alone changes nothing."""
        return self is Standing.UP or self is Standing.DOUBTED
