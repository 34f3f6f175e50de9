"""How the suite keeps quick.

Python's collector of cycles leaves alone what imports made: it would walk a million objects each time. What starts
processes comes first, so that one worker has all of it, pays for `tests.forked` once and is helped out by the others;
`tests.forked` before the rest: whoever forks first decides what all processes of a worker begin with.

Of the slow tests those come first that take longest, so that no worker is left with one at the end; and those that
share something of their module, such as nodes that have run, stay at one worker (`--dist loadscope`): it is made once.
"""

import gc
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

gc.disable()
# how long an example takes says something of the machine, and fails a test on a busy one
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (-_seconds(item), _turn(item)))


def _seconds(item: pytest.Item) -> float:
    """About what it takes, or all that share something with it: the argument of its mark `slow`."""
    slow = item.get_closest_marker("slow")
    return float(slow.args[0]) if slow is not None and slow.args else 0.0


def _turn(item: pytest.Item) -> int:
    names = vars(item.module) if isinstance(item, pytest.Function) else {}
    return 0 if "forked" in names else 1 if not {"Fleet", "ray"}.isdisjoint(names) else 2


class OneByOne(LoadScopeScheduling):  # type: ignore[misc]  # a library without types
    """Deals out one test after the other, and the tests of a module that makes something once for all of them together.

    Not `--dist loadgroup`: xdist 3.8 does not name groups under pytest 9, and says nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if _shares(self.config.rootpath / module) else nodeid


@cache
def _shares(module: Path) -> bool:
    return 'scope="module"' in module.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneByOne | None:
    return OneByOne(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    # it would end by itself, half a second after the suite; multiprocessing has no public word for it
    stop = getattr(forkserver._forkserver, "_stop", None)
    if stop is not None:
        stop()
