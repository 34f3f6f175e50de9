"""How the training of simulated nodes is computed: one at a time, all in one pass, or spread over processes."""
