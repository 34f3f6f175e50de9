"""How the suite keeps quick.

Python's collector of cycles leaves alone what imports made: it would walk a million objects each time. What starts
processes comes first, so that one worker has all of it, pays for `tests.forked` once and is helped out by the others;
`tests.forked` before the rest: whoever forks first decides what all processes of a worker begin with.
"""

import gc
from multiprocessing import forkserver

import pytest
from hypothesis import HealthCheck, settings

gc.disable()
# how long an example takes says something of the machine, and fails a test on a busy one
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    names = vars(item.module) if isinstance(item, pytest.Function) else {}
    return 0 if "forked" in names else 1 if not {"Fleet", "ray"}.isdisjoint(names) else 2


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    # it would end by itself, half a second after the suite; multiprocessing has no public word for it
    stop = getattr(forkserver._forkserver, "_stop", None)
    if stop is not None:
        stop()
