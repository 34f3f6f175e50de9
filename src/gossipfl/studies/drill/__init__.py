"""Real node processes under faults: a network of their own, and what is done to it."""
