"""Searches the demo's learning rates: the demo itself, on another split, once for each pair of rates.

python -m gossipfl.studies.search [--no-privacy]      prints the mean accuracy of each arm by rate

Begun again with the same output folder it goes on where it was.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from gossipfl.core.json_text import json_text
from gossipfl.studies.demo import run_demo

SEEDS = (101,)
CANDIDATES = {
    True: {"gossip": (0.2, 0.3, 0.4), "alone": (0.1, 0.2, 0.3)},
    False: {"gossip": (0.02, 0.05, 0.1), "alone": (0.02, 0.05, 0.1)},
}
"""Learning rates of each arm, with and without privacy."""


def search(output: Path, *, private: bool) -> dict[str, dict[float, float]]:
    """Mean accuracy over nodes and seeds, by arm and rate; the best of each arm belongs into `demo_config`."""
    found: dict[str, dict[float, float]] = {"gossip": {}, "alone": {}}
    candidates = CANDIDATES[private]
    for gossip, alone in zip(candidates["gossip"], candidates["alone"], strict=True):
        rates = {"gossip": gossip, "alone": alone}
        results = [
            _result(output / f"{gossip:g}-{alone:g}-{seed}", rates, private=private, seed=seed) for seed in SEEDS
        ]
        found["gossip"][gossip] = mean(result["gossip_mean"] for result in results)
        found["alone"][alone] = mean(result["alone_mean"] for result in results)
        sys.stderr.write(json_text(found) + "\n")
    return found


def _result(folder: Path, rates: Mapping[str, float], *, private: bool, seed: int) -> Mapping[str, float]:
    """Of an earlier search, if it came that far."""
    finished = folder / "result.json"
    if not finished.exists():
        shutil.rmtree(folder, ignore_errors=True)
        run_demo(folder, private=private, seed=seed, rates=rates)
    result: Mapping[str, float] = json.loads(finished.read_text())
    return result


def main() -> None:
    """Searches and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-privacy", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("runs/search"))
    options = parser.parse_args()
    sys.stdout.write(json_text(search(options.output, private=not options.no_privacy)) + "\n")


if __name__ == "__main__":
    main()
