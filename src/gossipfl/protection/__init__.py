"""Averages whose parts nobody reads: key agreement between neighbors of a node, masks, sums."""
