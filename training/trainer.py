"""`train`: shards and a recipe in, a checkpoint out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from media.errors import ConfigError, DatasetError
from training import checkpoint, recipes
from training.conditions.text import TextTable
from training.data.batches import PlannedBatches, Sources
from training.data.cache import ArrayCache
from training.data.clips import Shards, clips_of
from training.data.latents import Latents
from training.diffusion_task import DiffusionTask
from training.loop import TrainResult, fit
from training.models.factory import build_denoiser
from training.models.start import start_from
from training.models.vae import PACKAGED, load_vae
from training.randomness import seed_of
from training.recipes.config import DiffusionRecipe, VaeRecipe
from training.threads import limited
from training.vae_task import VaeTask

__all__ = ["train"]

Progress = Callable[[int, int], None]


def train(
    shards: Shards | None,
    recipe: DiffusionRecipe | VaeRecipe | str | Path,
    out_dir: str | Path,
    *,
    text_encoder_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    max_seconds: float | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    resume: bool = True,
    device: str | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a recipe (an object, a name or a YAML file) and return what came of it.

    The run ends after `max_steps` (in all, resumed ones included; the recipe's own if None) or `max_seconds` of wall
    time, caches and held-out passes included, whichever is first. With `resume` a run in `out_dir` is gone on with;
    without, it is replaced. Latents and captions are encoded once and kept in `cache_dir` (`out_dir`/caches if None).
    A vae recipe draws its own pictures: it needs neither shards nor a text encoder.

    `progress` is called with (done, total), in steps, or in seconds where `max_seconds` is given (then while captions
    and clips are encoded, too).
    Raises ConfigError, DatasetError or MissingModelError, with the field and the fix, before any step is taken.
    """
    begun = time.monotonic()
    deadline = None if max_seconds is None else begun + max_seconds
    if isinstance(recipe, str | Path):
        recipe = recipes.load(recipe)
    out = Path(out_dir)
    # The loop seeds torch's own generator (dropout layers draw from it); the caller's is left as it was.
    with torch.random.fork_rng(), limited(recipe.loop.threads):
        torch.manual_seed(seed_of(seed, "initial weights"))
        common: dict[str, Any] = {
            "seed": seed, "recipe": recipe.model_dump(mode="json"), "max_steps": max_steps, "deadline": deadline,
            "resume": resume, "progress": progress, "begun": begun,
        }  # fmt: skip
        if isinstance(recipe, VaeRecipe):
            return _train_vae(recipe, out, seed, common)
        if shards is None:
            raise DatasetError(f"recipe {recipe.name}: needs shards; `rushes shard` writes them")
        if text_encoder_path is None:
            raise ConfigError(f"recipe {recipe.name}: needs text_encoder_path, the folder of a text encoder")
        caches = Path(cache_dir) if cache_dir is not None else out / "caches"
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

        def tick(_done: int, _total: int) -> None:
            if progress is not None and max_seconds is not None:
                progress(min(round(time.monotonic() - begun), round(max_seconds)), max(1, round(max_seconds)))

        task, table = _diffusion(shards, recipe, Path(text_encoder_path), caches, seed, where, tick)
        result = fit(task, recipe.optimiser, recipe.loop, out, **common)
    result = dataclasses.replace(result, plan=table)
    result.write(out)
    return result


def _diffusion(
    shards: Shards,
    recipe: DiffusionRecipe,
    encoder: Path,
    caches: Path,
    seed: int,
    device: torch.device,
    tick: Progress,
) -> tuple[DiffusionTask, list[dict[str, Any]]]:
    """Plan, encode captions and clips, build the network: everything before the first step."""
    sources = Sources(clips_of(shards), recipe, seed)
    text_cache = ArrayCache(caches / "text")
    tokens = recipe.captions.max_tokens
    texts = TextTable.build(encoder, sources.captions(), max_tokens=tokens, cache=text_cache, progress=tick)
    text_cache.flush()
    vae = load_vae(recipe.vae)
    if vae.channels != recipe.model.latent_channels:
        raise ConfigError(f"model.latent_channels: {recipe.model.latent_channels}; the autoencoder has {vae.channels}")
    plan, together = recipe.clips.plan, vae.temporal_factor
    if together > 1 and (plan.temporal_stride != together or not plan.causal):
        raise ConfigError(
            f"clips.plan: the autoencoder joins {together} frames; set temporal_stride: {together}, causal: true"
        )
    whole = recipe.clips.plan.first_frame == "random"
    latents = Latents(shards, sources.clips.values(), vae, ArrayCache(caches / "latents"), whole=whole)
    latents.fill([*sources.epoch(0).batches, *sources.held_out_plan.batches], tick)
    unet = build_denoiser(recipe.model)
    if recipe.spatial is not None:
        start_from(unet, recipe.spatial)
    file = PACKAGED if recipe.vae is None else Path(recipe.vae)
    notes = {
        "data": sources.epoch(0).fingerprint,
        "text_encoder": {"path": str(encoder.resolve()), "identity": texts.identity},
        "vae": {"identity": vae.identity, "path": str(file.resolve())},
    }
    batches = PlannedBatches(sources, latents, recipe, seed)
    own = file if file.is_file() else None
    return DiffusionTask(recipe, unet, batches, texts, device=device, vae_file=own, notes=notes), sources.table()


def _train_vae(recipe: VaeRecipe, out: Path, seed: int, common: dict[str, Any]) -> TrainResult:
    """Train an autoencoder and write its averaged weights, ready for use, to `out`/vae.safetensors."""
    task = VaeTask(recipe, seed)
    result = fit(task, recipe.optimiser, recipe.loop, out, **common)
    saved = checkpoint.read(result.checkpoint)
    task.module.load_state_dict({**saved.tensors("model"), **saved.tensors("ema")})
    notes = {"steps": str(result.steps), "seed": str(seed), "held_out_psnr_db": f"{result.after['psnr_db']:.2f}"}
    task.export(out / "vae.safetensors", notes)
    return result
