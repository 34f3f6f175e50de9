"""peers.yaml and experiment.yaml as values; the only place with defaults."""
