"""The files that `gossipfl init` writes."""
