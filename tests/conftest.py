"""How the suite keeps quick.

Python's collector of cycles leaves alone what imports made: it would walk a million objects each time. What starts
processes comes first, so that one worker has all of it, pays for `tests.forked` once and is helped out by the others.
"""

import gc

import pytest
from hypothesis import HealthCheck, settings

gc.disable()
# how long an example takes says something of the machine, and fails a test on a busy one
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not _starts_processes(item))


def _starts_processes(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and not {"Fleet", "ray"}.isdisjoint(vars(item.module))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
