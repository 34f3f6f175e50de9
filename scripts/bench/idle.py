"""What a node costs when nothing happens: two real `gossipfl node --serve` processes that have finished.

    .venv/bin/python -m scripts.bench.idle [--seconds 20] [--json]

CPU time of each whole process, from outside, over the seconds; its links are open, keepalive runs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil
from scripts.bench.folders import experiment, node_names, write_nodes
from scripts.bench.meters import process_cpu_s

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.studies.fleet import Fleet, node_job

SETTLE_ROUNDS = 4
START_S = 240.0
QUIET_S = 3.0


def measure(seconds: float) -> dict[str, float]:
    """Share of one core by node."""
    gossip = GossipConfig(settle_rounds=SETTLE_ROUNDS)
    content = experiment(460_000, gossip=gossip, privacy=PrivacyConfig(level="none"))
    names = node_names(2)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        peers = write_nodes(folder, content, names)
        jobs = [node_job(peers, name, log=folder / f"{name}.log", extra=["--serve"]) for name in names]
        with Fleet(jobs) as fleet:
            _wait([folder / "state" / name / "metrics.jsonl" for name in names])
            processes = {name: psutil.Process(process.pid) for name, process in fleet.processes.items()}
            before = {name: process_cpu_s(process) for name, process in processes.items()}
            time.sleep(seconds)
            return {name: (process_cpu_s(process) - before[name]) / seconds for name, process in processes.items()}


def _wait(metrics: list[Path]) -> None:
    """Until every node has settled, and a moment more."""
    deadline = time.monotonic() + START_S
    while not all(_rounds(path) >= SETTLE_ROUNDS for path in metrics):
        if time.monotonic() > deadline:
            raise SystemExit(f"the nodes were not done after {START_S:.0f} s")
        time.sleep(0.5)
    time.sleep(QUIET_S)


def _rounds(path: Path) -> int:
    lines = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(lines[-1])["round"]) if lines else 0


def main() -> None:
    """Prints a line a node."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    shares = measure(chosen.seconds)
    if chosen.json:
        print(json.dumps({"idle": shares}))
        return
    for name, share in shares.items():
        print(f"{name}: {share * 100:.2f}% of a core over {chosen.seconds:g} s")


if __name__ == "__main__":
    main()
