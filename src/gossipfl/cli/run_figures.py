"""The figures of a run, for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from gossipfl.cli.output import table
from gossipfl.runs.result import RunResult


def run_figures(result: RunResult) -> RenderableType:
    """One a line."""
    figures = result.as_json()
    rows = [*result.final.items(), *((key, figures[key]) for key in ("virtual_s", "seconds", "node_steps_per_s"))]
    rows += [("bytes_per_node", result.bytes_per_node), ("epsilon", result.epsilon)]
    rows += _personal(result.personal or {})
    rows += [(f"rejected: {reason}", count) for reason, count in sorted(result.rejected.items())]
    rows.append(("output", str(result.output)))
    return table(("figure", "value"), rows)


def _personal(personal: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Of the nodes' own models: on their own data, and by how much they are better there."""
    models = ((name, found) for name, found in personal.items() if isinstance(found, Mapping))
    rows: list[tuple[str, Any]] = []
    for name, found in models:
        if "better" in found:
            of = f"{found['mean']:+.4g}, better at {found['better']} of {personal['nodes']}"
            rows.append((f"personal {name.replace('_', ' ')}", of))
        else:
            rows += [(f"{name}: {key}", value) for key, value in found.items() if key.endswith(("accuracy", "loss"))]
    return rows
