"""`training: none`: nodes start at given or random vectors and do nothing but gossip, for studies of topologies."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import Averaging
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.rng import generator
from gossipfl.core.tables import resolve
from gossipfl.errors import ConfigError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.sim.nodes import Course, Setting
from gossipfl.sim.trainers import NoEngine, Trainer
from gossipfl.state import AdapterSpec, AdapterState, Segment


def averaging_setting(experiment: Averaging, folder: Path) -> Setting:
    """The experiment's network."""
    return Setting(
        experiment.seed, experiment.topology, experiment.gossip, experiment.simulation, folder, experiment.protection
    )


def averaging_course(experiment: Averaging, setting: Setting) -> Course:
    """Start vectors, and no training.

    Raises:
        ConfigError: `vectors.start` is no way to start, or its file does not fit.
    """
    spec = AdapterSpec((Segment("vector", (experiment.vectors.size,)),))
    clear = Publisher(FreeAccount()).clear
    return Course(
        phases=0,
        local_steps=1,
        initial={
            name: AdapterState(spec, vector)
            for name, vector in zip(setting.names, _starts(experiment, setting), strict=True)
        },
        origin=AdapterState.zeros(spec),
        clear=lambda _name: clear,
        trainer=Trainer(NoEngine(), undoable=False),
        mixing=resolve(MIXINGS, experiment.gossip.mixing, field="gossip.mixing")(experiment.gossip),
    )


def _starts(experiment: Averaging, setting: Setting) -> list[NDArray[np.float32]]:
    size, nodes = experiment.vectors.size, len(setting.names)
    draw = partial(generator, experiment.seed, purpose="vectors")
    match experiment.vectors.start:
        case "normal":
            return [draw(node=name).standard_normal(size, np.float32) for name in setting.names]
        case "uniform":
            return [draw(node=name).random(size, np.float32) for name in setting.names]
        case "one_hot":
            return [np.eye(1, size, number % size, dtype=np.float32)[0] for number in range(nodes)]
        case file if file.endswith(".npy"):
            return _read(setting.folder / file, nodes, size)
        case other:
            raise ConfigError(f"vectors.start: {other!r} is unknown; known: normal, uniform, one_hot, or a .npy file")


def _read(path: Path, nodes: int, size: int) -> list[NDArray[np.float32]]:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"vectors.start: {path} cannot be read: {error}") from error
    if matrix.shape != (nodes, size) or not np.isfinite(matrix).all():
        raise ConfigError(f"vectors.start: {path} holds {matrix.shape}, ({nodes}, {size}) finite numbers were expected")
    return list(np.ascontiguousarray(matrix, np.float32))
