"""Imports in less time: torch and transformers make a million objects, none of which is garbage."""

import gc
import sys
from importlib import import_module
from types import ModuleType


def quick_import(name: str) -> ModuleType:
    """The module, imported without Python's cycle collector.

    It would walk through all that imports make again and again: tenths of a second each time, now and in the middle of
    training. Where the collector is off, it stays off.
    """
    if name in sys.modules or not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
