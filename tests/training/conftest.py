"""One thread, so that bits do not depend on the machine; one shard set, encoder and trained run for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import training
from dataset.shards import ShardReader
from tests.training import build
from training import TrainResult


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that transformers can read."""
    return build.text_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    """Twelve clips of moving squares from six sources."""
    return build.shards(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where latents and token states are kept between the tests' runs."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, squares: ShardReader, encoder: Path, caches: Path) -> TrainResult:
    """An unbroken run of six steps."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("trained")
    return training.train(squares, build.recipe(), out, text_encoder_path=encoder, cache_dir=caches, seed=3)
