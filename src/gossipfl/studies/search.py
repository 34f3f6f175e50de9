"""Searches the demo's learning rates: the demo itself, on other splits, once for each rate.

python -m gossipfl.studies.search [--no-privacy]      prints the mean accuracy of each arm by rate
"""

import argparse
import sys
from pathlib import Path
from statistics import mean

from gossipfl.core.json_text import json_text
from gossipfl.studies.demo import run_demo

SEEDS = (101, 102)
CANDIDATES = {
    True: {"gossip": (0.3, 0.4, 0.5), "alone": (0.1, 0.2, 0.4)},
    False: {"gossip": (0.01, 0.02, 0.05), "alone": (0.005, 0.01, 0.02)},
}
"""Learning rates of each arm, with and without privacy; the averaged noise of many bears larger ones."""


def search(output: Path, *, private: bool) -> dict[str, dict[float, float]]:
    """Mean accuracy over nodes and seeds, by arm and rate; the best of each arm belongs into `demo_config`."""
    found: dict[str, dict[float, float]] = {"gossip": {}, "alone": {}}
    candidates = CANDIDATES[private]
    for gossip, alone in zip(candidates["gossip"], candidates["alone"], strict=True):
        rates = {"gossip": gossip, "alone": alone}
        folder = f"{gossip:g}-{alone:g}"
        results = [run_demo(output / f"{folder}-{seed}", private=private, seed=seed, rates=rates) for seed in SEEDS]
        found["gossip"][gossip] = mean(result.gossip_mean for result in results)
        found["alone"][alone] = mean(result.alone_mean for result in results)
        sys.stderr.write(json_text(found) + "\n")
    return found


def main() -> None:
    """Searches and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-privacy", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("runs/search"))
    options = parser.parse_args()
    sys.stdout.write(json_text(search(options.output, private=not options.no_privacy)) + "\n")


if __name__ == "__main__":
    main()
