"""A trained model to generate from: the training tests' own."""

from tests.training.conftest import _one_thread, caches, encoder, squares, trained

__all__ = ["_one_thread", "caches", "encoder", "squares", "trained"]
