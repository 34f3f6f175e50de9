"""How many tokens a model takes, and what is said of records that are longer."""

from collections.abc import Iterable

from torch import nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.data import Examples


def context_of(module: nn.Module) -> int | None:
    """Tokens that a model takes at most; None where nothing bounds them (relative positions, recurrence).

    Learned positions that count from behind the padding's, as RoBERTa's, are fewer than the configuration says.
    """
    config = getattr(module, "config", None)
    told = (getattr(part, "max_position_embeddings", None) for part in (config, getattr(config, "text_config", None)))
    # some families write -1 for no bound
    bounds = [most for most in told if isinstance(most, int) and most > 0]
    bounds += [
        table.num_embeddings - table.padding_idx - 1
        for name, table in module.named_modules()
        if name.endswith("position_embeddings") and isinstance(table, nn.Embedding) and table.padding_idx is not None
    ]
    return min(bounds, default=None)


def check_length(module: nn.Module, wished: int) -> None:
    """Refuses a `task.max_length` that the model cannot take.

    Raises:
        ConfigError: it is larger.
    """
    most = context_of(module)
    if most is not None and wished > most:
        raise ConfigError(f"task.max_length {wished} is beyond the model, which takes {most} tokens")


def cut_notice(examples: Iterable[Examples], task: TaskConfig) -> str:
    """One line that says how many records were cut; empty where none was.

    It counts a node's own records: for its own log and screen, never for others.
    """
    several = list(examples)
    cut, rows = sum(each.cut for each in several), sum(each.rows for each in several)
    if not cut:
        return ""
    return f"{cut} of {rows} records are longer than task.max_length {task.max_length}, or than the model, and were cut"
