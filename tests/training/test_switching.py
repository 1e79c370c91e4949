"""Every recipe can switch denoiser and conditions: trained and generated from, by the commands and by the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import dataset
import training
from dataset.shards import ShardReader, shard_row, write_shard
from generation import generate
from media import encode
from media.errors import ConfigError
from pipelines.cli import main
from tests.training import build
from training import TrainResult, checkpoint
from training.checkpoint import Loaded
from training.models.dit import DiT
from training.models.unet import UNet
from training.recipes import DiffusionRecipe, load, parse
from training.recipes.section import SamplerName

MODELS: dict[str, dict[str, Any]] = {
    "temporal_attention": {"motion": ["temporal_attention"]},
    "temporal_conv": {"motion": ["temporal_conv"]},
    "both": {"motion": ["temporal_attention", "temporal_conv"]},
    "dit": {"kind": "dit", "width": 64, "depth": 2, "heads": 2},
}
SMALL_DIT = {"kind": "dit", "width": 16, "depth": 2, "heads": 2, "text_dim": build.TEXT_DIM, "max_frames": 8}
EVERYTHING: dict[str, Any] = {
    "vectors": ["frames", "size", "motion", "aesthetic"], "segmentation_classes": 3, "image": {"width": 16},
    "connector": {"queries": 4, "width": 16, "blocks": 1, "heads": 2},
}  # fmt: skip
PICTURE = build.square((200, 60, 60), 0, frames=1)[0]


@pytest.fixture(scope="module")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of 64 x 64, 16 frames at 8 fps: what the tiny recipe trains on."""
    folder, rows = tmp_path_factory.mktemp("tiny"), []
    for number, (name, colour) in enumerate([*build.COLOURS.items(), ("white", (250, 250, 250))]):
        encoded = encode(build.square(colour, 1, frames=16, size=64), fps=8, crf=10)
        clip = {
            "clip_id": f"{number:032x}:0-16", "video_id": f"{number:032x}", "kind": "synthetic", "first_frame": 0,
            "end_frame": 16, "uri": f"square/{number}",
        }  # fmt: skip
        rows.append(shard_row(
            clip, encoded.data, frames=16, fps=8.0, width_px=64, height_px=64, run_id="r",
            caption={"outcome": "template", "short": f"a {name} square", "dense": f"a {name} square moves right"},
        ))  # fmt: skip
    write_shard(dataset.open_root(str(folder), create=True), "train", rows, key="squares")
    return folder


@pytest.mark.parametrize("name", list(MODELS))
def test_the_commands_train_and_generate_with_each_denoiser_on_the_tiny_recipe(
    name: str, tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"base": "tiny", "name": name, "model": MODELS[name]}))
    run, clips = tmp_path / "run", tmp_path / "clips"
    for command in (
        ["train", tiny_dataset, "--out", run, "--recipe", file, "--max-steps", "2"],
        ["generate", run, "--out", clips, "--prompt", "a red square moves right", "--steps", "2"],
    ):
        with pytest.raises(SystemExit) as left:
            main([str(part) for part in command])
        assert left.value.code in (0, None), capsys.readouterr().err
    assert type(checkpoint.load(run).unet) is (DiT if name == "dit" else UNet)
    (row,) = json.loads((clips / "generated.json").read_text())
    assert (clips / row["file"]).stat().st_size > 500
    result = TrainResult.load(run)
    assert result is not None
    assert result.steps == 2
    assert np.isfinite(result.held_out_after)


def recipe(model: dict[str, Any], **changes: object) -> DiffusionRecipe:
    made = parse({**build.recipe(**changes).model_dump(), "model": model})
    assert isinstance(made, DiffusionRecipe)
    return made


def unet_model(**more: Any) -> dict[str, Any]:
    return {**build.recipe().model.model_dump(), **more}


@pytest.fixture(scope="module", params=["unet", "dit"])
def everything(
    request: pytest.FixtureRequest,
    squares: ShardReader,
    encoder: Path,
    caches: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Loaded:
    """A model with every condition there is, woken up so that each shows."""
    torch.set_num_threads(1)
    model = {**SMALL_DIT, **EVERYTHING} if request.param == "dit" else unet_model(**EVERYTHING)
    frames = {"first": 1.0, "last": 1.0, "ends": 1.0, "any": 1.0}
    told = recipe(model, anchor={"frames": frames}, diffusion={**build.flow(), "timestep_shift": None})
    out = tmp_path_factory.mktemp("everything")
    result = training.train(squares, told, out, text_encoder_path=encoder, cache_dir=caches, max_steps=3)
    assert {"text_t0.25", "anchored_t0.25", "image_t0.25", "loss"} <= set(result.after)
    loaded = checkpoint.load(result.checkpoint)
    noise = torch.Generator().manual_seed(0)
    for parameter in loaded.unet.parameters():
        parameter.data.add_(0.08 * torch.randn(parameter.shape, generator=noise))
    return loaded


def made_with(model: Loaded, prompt: str = "a red square", **how: Any) -> bytes:
    return generate(model, [prompt], steps=3, **how)[0].tobytes()


def test_each_condition_changes_the_video(everything: Loaded) -> None:
    plain = made_with(everything)
    classes = np.zeros((4, 32, 32), np.uint8)
    given: list[dict[str, Any]] = [
        {"image": PICTURE}, {"segmentation": classes}, {"vectors": {"motion": 30.0}}, {"vectors": {"aesthetic": 6.0}},
        {"known_frames": {-1: PICTURE}}, {"first_frame": PICTURE}, {"fps": 24.0},
    ]  # fmt: skip
    videos = [made_with(everything, **how) for how in given]
    assert len({plain, *videos}) == len(given) + 1
    assert [made_with(everything, **how) for how in given[:2]] == videos[:2]
    assert made_with(everything, segmentation=classes + 1) != videos[1]


def test_known_frames_are_the_given_ones(everything: Loaded) -> None:
    other = build.square((50, 60, 220), 0, frames=1)[0]
    (video,) = generate(everything, [""], steps=3, known_frames={-1: other, 1: PICTURE}, first_frame=PICTURE)
    (again,) = generate(everything, [""], steps=3, known_frames={3: other, 0: PICTURE, -3: PICTURE})
    assert video.tobytes() == again.tobytes()
    assert np.array_equal(video[0], video[1])
    assert np.abs(video[3].astype(int) - video[0].astype(int)).max() > 20


def test_a_picture_has_a_scale_of_its_own(everything: Loaded) -> None:
    told = {"guidance": 4.0, "image": PICTURE}
    plain = made_with(everything, **told)
    assert made_with(everything, **told, image_guidance=4.0) == plain
    strong = made_with(everything, **told, image_guidance=8.0)
    assert strong != plain
    # At an image scale of 0 and a text scale of 0 neither is followed.
    silent = {"guidance": 0.0, "image_guidance": 0.0}
    assert made_with(everything, "moves left", image=PICTURE, **silent) == made_with(everything, **silent)


def test_guidance_outside_its_interval_is_left_out(everything: Loaded) -> None:
    calls: list[int] = []
    handle = everything.unet.register_forward_pre_hook(lambda _m, args: calls.append(len(args[0])))
    try:
        inside = generate(everything, ["a"], steps=4, guidance_interval=(0.0, 0.6))
        assert sorted(set(calls)) == [1, 2]
        calls.clear()
        none = generate(everything, ["a"], steps=4, guidance=1.0)
        assert set(calls) == {1}
        assert inside[0].tobytes() != none[0].tobytes()
        calls.clear()
        generate(everything, ["a"], steps=2, image=PICTURE, image_guidance=2.0)
        assert calls == [3, 3]
    finally:
        handle.remove()


@pytest.mark.parametrize("sampler", ["ddim", "euler", "heun", "dpmpp_2m", "flow_euler", "flow_heun"])
def test_every_sampler_generates_and_counts_its_steps(everything: Loaded, sampler: SamplerName) -> None:
    ticks: list[tuple[int, int]] = []
    (video,) = generate(everything, ["a"], steps=5, sampler=sampler, progress=lambda *at: ticks.append(at))
    assert video.shape == (4, 32, 32, 3)
    assert ticks == [(i, 5) for i in range(1, 6)]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"image": [PICTURE, PICTURE]}, "image: 2 pictures for 1 prompts"),
        ({"vectors": {"speed": 1.0}}, "vectors: speed: this model takes motion, aesthetic"),
        ({"vectors": {"size": 1.0}}, "vectors: size: this model takes motion, aesthetic"),
        (
            {"segmentation": np.zeros((3, 8, 8), np.uint8)},
            r"segmentation: i\[4, H, W\] is needed, not uint8\[3, 8, 8\]",
        ),
        ({"known_frames": {4: PICTURE}}, "known_frames: 4, but there are 4 frames"),
        ({"known_frames": {0: PICTURE[0]}}, r"known_frames: u8\[H, W, 3\] is needed"),
        ({"sampler": "plms"}, "sampler: there is no plms"),
    ],
)
def test_what_cannot_be_told_is_said(everything: Loaded, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(everything, ["a"], **how)


def test_a_plain_model_takes_none_of_it(trained: TrainResult) -> None:
    for how, message in (
        ({"image": PICTURE}, r"trained without model\.image"),
        ({"segmentation": np.zeros((4, 8, 8), np.uint8)}, r"trained without model\.segmentation_classes"),
        ({"vectors": {"motion": 1.0}}, "this model takes none"),
        ({"sampler": "flow_heun"}, "follow a flow"),
    ):
        with pytest.raises(ConfigError, match=message):
            generate(trained.checkpoint, ["a"], steps=1, **how)  # type: ignore[arg-type]


def test_a_dit_goes_on_from_another_and_grows_conditions(
    squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"text_encoder_path": encoder, "cache_dir": caches, "max_steps": 1}
    plain = {**SMALL_DIT, "anchor": False, "fps": False}
    first = training.train(squares, recipe(plain, anchor={"probability": 0.0}), tmp_path / "plain", **options)
    grown = recipe({**SMALL_DIT, "vectors": ["motion"], "image": {"width": 8}})
    values = {**grown.model_dump(), "spatial": str(first.checkpoint)}
    second = training.train(squares, parse(values), tmp_path / "grown", **options)
    assert second.before["text_t0.25"] == pytest.approx(first.after["text_t0.25"], rel=1e-5)


def test_switching_keeps_what_the_kinds_share_and_replaces_the_rest() -> None:
    told = parse({"base": "tiny", "model": {"kind": "dit", "depth": 3}})
    assert isinstance(told, DiffusionRecipe)
    assert told.model.kind == "dit"
    assert told.optimiser == load("tiny").optimiser
    same = parse({"base": "tiny", "model": {"heads": 4}})
    assert isinstance(same, DiffusionRecipe)
    assert same.model.kind == "unet"
    assert same.model.model_dump() == {**load("tiny").model.model_dump(), "heads": 4}
