"""How long a node's event loop was busy with gossip, against how long it trained: from `metrics.jsonl`.

    .venv/bin/python -m scripts.bench.gossip_share demo/gossip/state [--json]

gossip_s is wall time of protocol, mixing, encoding, publication log and checkpoint, waiting for the disk and for the
interpreter's lock included; reading and writing streams is not in it: for that see `exchange`.
"""

import argparse
import json
from pathlib import Path


def shares(state: Path) -> dict[str, dict[str, float]]:
    """Seconds of both and their ratio, by node."""
    found = {}
    for path in sorted(state.glob("*/metrics.jsonl")):
        last = json.loads(path.read_text().splitlines()[-1])
        found[path.parent.name] = {
            "train_s": last["train_s"],
            "gossip_s": last["gossip_s"],
            "share": last["gossip_s"] / last["train_s"],
        }
    return found


def main() -> None:
    """Prints a line a node."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path, help="folder with one state directory a node")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    found = shares(chosen.state)
    if chosen.json:
        print(json.dumps({"gossip_share": found}))
        return
    for name, row in found.items():
        print(f"{name:12s} trained {row['train_s']:8.2f} s, gossip {row['gossip_s']:7.3f} s: {row['share']:.2%}")


if __name__ == "__main__":
    main()
