"""What traces cost a node: CPU time of one exchange's spans, made, encoded, and sent to a collector on this machine.

    .venv/bin/python -m scripts.bench.traces [--pairs 20] [--exchanges 100] [--json]

An exchange here is a phase, its publication, and two neighbors that it goes to and comes from: eight spans. CPU time of
the whole process, all threads, with and without traces in turn; the collector is another process, which reads and
drops. Of two blocks beside each other the difference counts. Nothing else of a node is in it.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import numpy as np
from opentelemetry.sdk.trace import SpanProcessor

from gossipfl.core.events import Report, Trained
from gossipfl.core.messages import Header, Receipt
from gossipfl.net.passage import Passage
from gossipfl.net.wire import Envelope
from gossipfl.node.traces.delivery import delivering
from gossipfl.node.traces.names import SEED_BYTES
from gossipfl.node.traces.spans import SpanTraces
from gossipfl.state import AdapterSpec, AdapterState, Segment

STATE = AdapterState.zeros(AdapterSpec((Segment("core", (8, 8)),)))
NEIGHBORS = ("bob", "cid")
WARM_UP = 2


def exchange(traces: SpanTraces | None, number: int) -> None:
    """What a node tells of one exchange."""
    trained, header = Trained(number, STATE, 2, 8.0, Receipt()), Header(number, 2)
    ways = [(envelope("ada", peer, number), envelope(peer, "ada", number)) for peer in NEIGHBORS]
    report = Report(number, 1, 2, {}, dict.fromkeys(NEIGHBORS, 0), (), dict.fromkeys(NEIGHBORS, header))
    if traces is None:
        return
    traces.trained(trained, 1, 2)
    with traces.publishing(header):
        pass
    for out, back in ways:
        traces.passed(Passage(outward=True, envelope=out, began_ns=3, ended_ns=4))
        traces.passed(Passage(outward=False, envelope=back, began_ns=5, ended_ns=6))
    traces.mixed(report, 7, 8)


def envelope(sender: str, receiver: str, number: int) -> Envelope:
    """A message's."""
    header = Header(number, 2)
    return Envelope(sender, receiver, (1, number), (0, 0), header, "fp32", number, 0, b"", 256, b"", None)


def measure(pairs: int, exchanges: int) -> dict[str, float]:
    """Microseconds of CPU an exchange."""
    with collector() as url, delivering(url) as (ended, batches):
        traces = SpanTraces("ada", bytes(SEED_BYTES), (ended, batches))
        for peer in NEIGHBORS:
            traces.met(peer, b"\x01" * SEED_BYTES)
        number, found = 0, list[float]()
        for pair in range(WARM_UP + pairs):
            costs = dict[bool, float]()
            for traced in (True, False) if pair % 2 else (False, True):
                costs[traced] = block(traces if traced else None, batches, number, exchanges)
                number += exchanges
            found.append((costs[True] - costs[False]) / exchanges * 1e6)
    low, middle, high = np.percentile(found[WARM_UP:], [25, 50, 75])
    return {"spans": 8, "median_us": round(middle), "quartile_1_us": round(low), "quartile_3_us": round(high)}


def block(traces: SpanTraces | None, batches: SpanProcessor, first: int, exchanges: int) -> float:
    """Seconds of CPU of so many exchanges, until all of it is sent."""
    began = time.process_time()
    for number in range(first, first + exchanges):
        exchange(traces, number)
    if traces is not None:
        batches.force_flush()
    return time.process_time() - began


@contextmanager
def collector() -> Iterator[str]:
    """The URL of one that drops everything."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=collect, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1/traces"
    finally:
        process.kill()
        process.join()


def collect(pipe: Connection) -> None:
    """The collector's process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Dropping) as server:
        pipe.send(server.server_port)
        server.serve_forever()


class Dropping(BaseHTTPRequestHandler):
    """Takes all posts and keeps none."""

    def do_POST(self) -> None:
        """Reads one."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:
        """Says nothing."""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--exchanges", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.pairs, asked.exchanges)
    print(json.dumps(found) if asked.json else "\n".join(f"{name:14} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
