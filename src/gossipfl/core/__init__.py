"""Pure arithmetic of gossip: no clock, no randomness, no logging, no threads, no sockets, no files of its own."""
