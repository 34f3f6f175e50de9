"""The in-process driver: the protocols' own state machines on a virtual clock, with models of machines and network."""
