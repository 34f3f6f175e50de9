"""Tiny models of the learners' tests, and one torch thread."""

import pytest
import torch
from tests.learning.conftest import experiment_of, tiny_folders

__all__ = ["experiment_of", "tiny_folders"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
