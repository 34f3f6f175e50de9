"""The collector of cycles leaves alone what imports made: it would walk a million objects again and again."""

import gc

gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
