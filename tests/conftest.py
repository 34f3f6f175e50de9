"""How the suite keeps quick.

Python's collector of cycles leaves alone what imports made: it would walk a million objects each time. What starts
processes comes first, so that one worker has all of it, pays for `tests.forked` once and is helped out by the others;
`tests.forked` before the rest: whoever forks first decides what all processes of a worker begin with.

Of the slow tests those come first that take longest, so that no worker is left with one at the end; and those that
share something of their module, such as nodes that have run, stay at one worker (`--dist loadgroup`): it is made once.
"""

import gc
from multiprocessing import forkserver

import pytest
from hypothesis import HealthCheck, settings

gc.disable()
# how long an example takes says something of the machine, and fails a test on a busy one
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


# before xdist reads the groups
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (-_seconds(item), _turn(item)))
    for item in items:
        if _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def _seconds(item: pytest.Item) -> float:
    """About what it takes, or all that share something with it: the argument of its mark `slow`."""
    slow = item.get_closest_marker("slow")
    return float(slow.args[0]) if slow is not None and slow.args else 0.0


def _shares(item: pytest.Item) -> bool:
    """Whether a fixture is made once for its module."""
    # pytest has no public word for what an item's fixtures are
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    module = item.nodeid.partition("::")[0]
    return any(found[-1].scope == "module" and found[-1].baseid == module for found in known.values())


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
