"""Who is up: a membership that nodes find out from each other, without server, I/O or timeouts to guess.

    tick ─> ping one member ──ack──> it is up
              └─ late? ask 3 others to ping it ─ nobody heard it? ─> doubted ─ no sign for ~log n ticks ─> down
    every word carries news: cards (what a member says of itself, signed) and doubts (what somebody fears of another)

Sources: SWIM, Das, Gupta & Motivala (2002); Lifeguard, Dadgar, Phillips & Currey (2018), of which: who is doubted is
told so, and who overslept accuses nobody.
"""

from gossipfl.core.swim.machine import Swim
from gossipfl.core.swim.standing import Standing
from gossipfl.core.swim.words import Card, Changed, Doubt, Effect, Kind, Pace, Say, Seal, Word

__all__ = ["Card", "Changed", "Doubt", "Effect", "Kind", "Pace", "Say", "Seal", "Standing", "Swim", "Word"]
