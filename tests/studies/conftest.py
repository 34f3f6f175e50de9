"""Tiny models of the learners' tests."""

from tests.learning.conftest import tiny_folders

__all__ = ["tiny_folders"]
