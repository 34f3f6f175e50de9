"""Terms of the Human Phenotype Ontology for two nodes: what each trains on, and what all are measured by.

OUTPUT/data/NODE.jsonl              prompt and response, the node's organ system
OUTPUT/data/NODE-held-out.jsonl     terms of the same organ system that nobody trains on
OUTPUT/gossip/, OUTPUT/alone/       see `arm_files`
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.core.rng import generator
from gossipfl.errors import DataError
from gossipfl.studies.arm_files import write_arm
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.hpo_config import ARMS, SYSTEMS, Trial, hpo_experiment


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of one organ system.

    Attributes:
        train: of its node.
        held_out: nobody trains on them.
    """

    train: Sequence[Definition]
    held_out: Sequence[Definition]


@dataclass(frozen=True, slots=True)
class HpoFiles:
    """Where the study lies.

    Attributes:
        peers: peers.yaml by arm.
        held_out: file of held-out terms by node.
        terms: what the files hold, by node.
    """

    peers: Mapping[str, Path]
    held_out: Mapping[str, Path]
    terms: Mapping[str, Terms]


def write_hpo(output: Path, trial: Trial) -> HpoFiles:
    """Writes all files of one run."""
    terms = write_terms(output / "data", trial)
    peers = {
        arm: write_arm(output / arm, hpo_experiment(trial, arm=arm), names=tuple(SYSTEMS), topology="path")
        for arm in ARMS
    }
    return HpoFiles(peers, {name: _held_out(output / "data", name) for name in terms}, terms)


def write_terms(folder: Path, trial: Trial) -> dict[str, Terms]:
    """Writes the data files, and gives what stands in them, by node."""
    folder.mkdir(parents=True, exist_ok=True)
    terms = deal_hpo(load_hpo(), seed=trial.seed, held_out=trial.held_out)
    for name, dealt in terms.items():
        write_definitions(folder / f"{name}.jsonl", dealt.train)
        write_definitions(_held_out(folder, name), dealt.held_out)
    return terms


def deal_hpo(definitions: Iterable[Definition], *, seed: int, held_out: int) -> dict[str, Terms]:
    """Each node's organ system, shuffled, its first `held_out` terms put aside.

    Guarantees:
        No definition occurs twice, on whichever side or node.

    Raises:
        DataError: an organ system has no more than `held_out` terms.
    """
    distinct = distinct_definitions(definitions)
    return {name: _dealt(distinct, system, seed=seed, held_out=held_out) for name, system in SYSTEMS.items()}


def _dealt(definitions: Iterable[Definition], system: str, *, seed: int, held_out: int) -> Terms:
    rows = [row for row in definitions if row["organ_system"] == system]
    if len(rows) <= held_out:
        raise DataError(f"held_out: {system} has {len(rows)} terms, more than {held_out} are needed")
    order = generator(seed, purpose=f"hpo {system}").permutation(len(rows))
    shuffled = [rows[place] for place in order]
    return Terms(train=shuffled[held_out:], held_out=shuffled[:held_out])


def _held_out(folder: Path, name: str) -> Path:
    return folder / f"{name}-held-out.jsonl"
