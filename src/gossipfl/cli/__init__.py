"""Thin Typer commands: parse, build the parts, run, print."""
