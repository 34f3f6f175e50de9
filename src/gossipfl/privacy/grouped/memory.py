"""How torch says that memory has run out."""

import torch


def is_memory(error: Exception) -> bool:
    """Whether less at once would have done."""
    # on a CPU torch raises a plain RuntimeError
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
