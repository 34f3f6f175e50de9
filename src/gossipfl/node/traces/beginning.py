"""A node's traces from its start to its end, where it is told to keep some."""

import secrets
from contextlib import ExitStack

from gossipfl.errors import ConfigError
from gossipfl.node.traces.names import SEED_BYTES
from gossipfl.node.traces.seam import Traces
from gossipfl.node.traces.target import require_traces


def begin_traces(url: str | None, name: str, stack: ExitStack) -> tuple[Traces | None, bytes]:
    """The traces of one life and their seed; what has to be closed is put on the stack.

    Args:
        url: of `trace_target`; None: none are kept, and the seed is empty.

    Raises:
        ConfigError: the extra is not installed, or a variable OTEL_* holds what OpenTelemetry does not take.
    """
    if url is None:
        return None, b""
    require_traces()
    from gossipfl.node.traces.spans import tracing  # noqa: PLC0415  # an extra

    seed = secrets.token_bytes(SEED_BYTES)
    try:
        return stack.enter_context(tracing(url, name, seed)), seed
    except ValueError as error:
        raise ConfigError(f"--traces: a variable OTEL_* is not what OpenTelemetry takes: {error}") from error
