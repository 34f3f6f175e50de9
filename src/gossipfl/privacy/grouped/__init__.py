"""Many groups of samples through one frozen base, each with adapter values of its own."""
