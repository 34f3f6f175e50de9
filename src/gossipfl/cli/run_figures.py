"""The figures of a run, for people."""

from rich.console import RenderableType

from gossipfl.cli.output import table
from gossipfl.runs.result import RunResult


def run_figures(result: RunResult) -> RenderableType:
    """One a line."""
    figures = result.as_json()
    rows = [*result.final.items(), *((key, figures[key]) for key in ("virtual_s", "seconds", "node_steps_per_s"))]
    rows += [("bytes_per_node", result.bytes_per_node), ("epsilon", result.epsilon)]
    rows += [(f"rejected: {reason}", count) for reason, count in sorted(result.rejected.items())]
    rows.append(("output", str(result.output)))
    return table(("figure", "value"), rows)
