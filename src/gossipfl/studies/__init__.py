"""Programs made of runs: the demo and experiments."""
