"""What every recorded run is made of, whoever drives it: its nodes' learners, its folder, its lines, its result."""
