"""Any dataset file as examples of a task: what `gossipfl evaluate --data` takes."""

from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.examples import Examples
from gossipfl.learning.data.kinds import Reader
from gossipfl.learning.data.loading import make_test
from gossipfl.learning.data.records import records_of
from gossipfl.learning.data.sources import ENDINGS, read_table
from gossipfl.learning.data.token_folder import scratch_for


@dataclass(frozen=True, slots=True)
class DataFile:
    """Where records lie.

    Attributes:
        path: file, or folder that `datasets` saved.
        split: of a saved `DatasetDict`.
    """

    path: Path
    split: str = "test"


def read_examples(experiment: Experiment, file: DataFile, reader: Reader | None) -> Examples:
    """The records of a file as the experiment's task sees them, every one a unit of its own.

    Its ending tells its format; one without a known ending is read as `data.format` says. Units are not asked for.

    Args:
        reader: of the model; None for a builtin one.

    Raises:
        DataError: nothing there or in it, a column absent, a value null, a label unknown, or a record is no token.
    """
    data, path = experiment.data, file.path
    tells = path.is_dir() or path.suffix.lower() in ENDINGS
    wished = data.format if data.format != "hub" else "auto"
    form = "auto" if tells else wished
    scratch = scratch_for(data, None)
    table = read_table(str(path.absolute()), folder=Path(), format=form, split=file.split, scratch=scratch)
    alone = experiment.model_copy(update={"data": data.model_copy(update={"unit": None})})
    examples = make_test(experiment, records_of(table, alone, source=str(path)), reader)
    if examples is None or examples.rows == 0:
        raise DataError(f"data {str(path)!r} holds no records")
    return examples
