"""Freed memory back to the system: glibc keeps most of what training frees, several adapters, until it is asked."""

import ctypes


def return_freed_memory() -> None:
    """Milliseconds of work; where the C library has no `malloc_trim`, nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
