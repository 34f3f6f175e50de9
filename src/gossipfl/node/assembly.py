"""Builds a node out of two files and a state directory, and runs it."""
