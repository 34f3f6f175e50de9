"""What ties a run's folder to what began in it: who runs it, and with which configuration.

config.yaml  =  # DRIVER, a comment  +  everything resolved
"""

from gossipfl.config.experiment import Averaging, Experiment
from gossipfl.config.loading import dump_experiment

SIMULATE = "gossipfl simulate"
POOLED = "all data pooled"
SERVER = "Flower's server, on several machines"


def fedavg(mode: str) -> str:
    """The driver of Flower's server in one of its modes."""
    return f"gossipfl fedavg --mode {mode}"


def run_config(driver: str, experiment: Experiment | Averaging) -> str:
    """Content of config.yaml; the same experiment of another driver is another run."""
    return f"# {driver}\n{dump_experiment(experiment)}"
