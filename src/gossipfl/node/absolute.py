"""An experiment whose paths hold anywhere."""

from pathlib import Path

from gossipfl.config.experiment import Experiment


def absolute(experiment: Experiment, folder: Path) -> Experiment:
    """The same experiment with paths that hold anywhere, for the copy in a state directory."""
    adapter, data, model = experiment.adapter, experiment.data, experiment.model
    basis = None if adapter.basis is None else str((folder / adapter.basis).resolve())
    test = data.test if data.test is None or not (folder / data.test).exists() else str((folder / data.test).resolve())
    source = str((folder / model.source).resolve()) if (folder / model.source).exists() else model.source
    return experiment.model_copy(
        update={
            "adapter": adapter.model_copy(update={"basis": basis}),
            "data": data.model_copy(update={"test": test}),
            "model": model.model_copy(update={"source": source}),
        }
    )
