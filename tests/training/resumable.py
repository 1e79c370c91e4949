"""A run that kills itself after a step, as `kill -9` would: started by test_train in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

import dataset
import training
from dataset.shards import ShardReader
from tests.training import build

if __name__ == "__main__":
    data, encoder, caches, out, last = sys.argv[1:]
    torch.set_num_threads(1)

    def after(step: int, _: int) -> None:
        if step == int(last):
            os.kill(os.getpid(), signal.SIGKILL)

    shards = ShardReader(dataset.open_root(data), "train")
    training.train(
        shards, build.recipe(), Path(out), text_encoder_path=encoder, cache_dir=caches, seed=3, progress=after
    )
