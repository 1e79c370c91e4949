"""Small real things to train on: a text encoder folder, a shard set, a recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import dataset
from dataset.shards import ShardReader, shard_row, write_shard
from media import encode
from training.conditions._torchvision import ready
from training.recipes import DiffusionRecipe, parse
from training.recipes.config import DiffusionConfig

WORDS = "a red green blue square moves left right up down the on black"
TEXT_DIM = 16


def text_encoder(folder: Path) -> Path:
    """Write a one-layer BERT with random weights and a tokenizer of a few words, as transformers would."""
    ready()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(WORDS.split()))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=TEXT_DIM, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    return folder


def square(colour: tuple[int, int, int], step: int, frames: int = 8, size: int = 32) -> np.ndarray:
    """Return u8[frames, size, size, 3]: a square of 12 px that moves `step` px a frame to the right."""
    video = np.full((frames, size, size, 3), 40, np.uint8)
    for f in range(frames):
        left = (size - 12) // 2 + step * (f - frames // 2)
        video[f, 10:22, max(0, left) : max(0, left + 12)] = colour
    return video


COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 60, 220)}


def shards(folder: Path, sources: int = 6) -> ShardReader:
    """Write two clips for each source: a square that moves left, and its mirror."""
    rows = []
    for source in range(sources):
        name, colour = list(COLOURS.items())[source % 3]
        for direction, step in (("left", -1), ("right", 1)):
            frames = square(colour, step, size=32)
            encoded = encode(frames, fps=8, crf=10)
            clip = {
                "clip_id": f"{source:032x}:0-8@{direction}",
                "video_id": f"{source:032x}",
                "kind": "synthetic",
                "first_frame": 0,
                "end_frame": 8,
                "uri": f"square/{source}",
                "flow_mean_px_per_s": 8.0 + source if direction == "right" else None,
            }
            short = f"a {name} square"
            caption = {
                "outcome": "template",
                "short": short,
                "medium": f"{short} moves",
                "dense": f"{short} moves {direction}",
            }
            rows.append(
                shard_row(
                    clip,
                    encoded.data,
                    frames=encoded.frames,
                    fps=8.0,
                    width_px=32,
                    height_px=32,
                    run_id="r",
                    caption=caption,
                )
            )
    root = dataset.open_root(str(folder), create=True)
    write_shard(root, "train", rows, key="squares")
    return ShardReader(root, "train")


def recipe(**changes: object) -> DiffusionRecipe:
    """Return a recipe of a few thousand parameters: 4 frames of 32 x 32, two clips to a batch."""
    values: dict[str, object] = {
        "name": "test",
        "model": {"widths": (8, 16), "heads": 2, "norm_groups": 4, "text_dim": TEXT_DIM, "max_frames": 8},
        "clips": {
            "plan": {
                "buckets": [{"frames": 4, "height_px": 32, "width_px": 32}],
                "tokens_per_batch": 128,
                "first_frame": "random",
            },
            "image_probability": 0.2,
        },
        "held_out": {"fraction": 0.2, "max_clips": 2, "bins": 2},
        "captions": {"max_tokens": 16},
        "optimiser": {"lr": 2e-3, "warmup_steps": 2, "ema_decay": 0.9},
        "loop": {"max_steps": 6, "checkpoint_every": 2, "keep": 2},
    }
    for key, value in changes.items():
        old = values.get(key)
        values[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    made = parse(values)
    assert isinstance(made, DiffusionRecipe)
    return made


def flow() -> dict[str, object]:
    """Return the diffusion section of a flow."""
    return DiffusionConfig(objective="flow", zero_terminal_snr=False).model_dump()
