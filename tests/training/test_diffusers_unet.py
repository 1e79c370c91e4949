"""Stable Diffusion's UNet in ours: the same predictions, frame by frame, with fresh motion layers beside it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import training
from dataset.shards import ShardReader
from media.errors import ConfigError, CorruptionError, MissingModelError
from tests.training import build
from training import checkpoint
from training.models.diffusers_unet import diffusers_unet_config, diffusers_unet_state, is_diffusers_unet
from training.models.dit import DiT
from training.models.factory import count_parameters, freeze
from training.models.inputs import Anchor, Text
from training.models.start import start_from
from training.models.unet import UNet
from training.recipes import parse
from training.recipes.models import ConnectorConfig, DiTConfig, UNetConfig

FOLDER = Path(__file__).parent / "data" / "stable_unet"
MOTION = ("temporal_attention", "temporal_conv")


def loaded(folder: Path = FOLDER, **fields: Any) -> UNet:
    unet = UNet(UNetConfig(**{**diffusers_unet_config(folder), "motion": MOTION, **fields}))
    start_from(unet, folder)
    return unet.eval()


def golden() -> tuple[Tensor, Tensor, Text, Tensor]:
    """Return diffusers' inputs as two clips of one frame, and its prediction."""
    known = load_file(FOLDER / "expected.safetensors")
    text = Text(known["tokens"], torch.ones(known["tokens"].shape[:2], dtype=torch.bool))
    return known["latents"][:, None], known["steps"][:, None] / 999, text, known["prediction"][:, None]


def test_predictions_are_those_of_diffusers() -> None:
    latents, t, text, expected = golden()
    assert expected.std() > 0.1
    torch.testing.assert_close(loaded()(latents, t, text), expected, rtol=0, atol=2e-5)


def test_a_fresh_video_unet_is_diffusers_image_unet_on_every_frame() -> None:
    # diffusers' own MotionAdapter is not an identity when fresh; ours is, with every condition but text at rest.
    latents, t, text, expected = golden()
    unet, frames = loaded(fps=True, anchor=True, vectors=("motion",)), 5
    video, times = latents.expand(-1, frames, -1, -1, -1), t.expand(-1, frames)
    anchor = Anchor(torch.ones(2, frames), torch.randn(video.shape, generator=torch.Generator().manual_seed(0)))
    out = unet(video, times, text, fps=torch.tensor([8.0, 24.0]), anchor=anchor)
    torch.testing.assert_close(out, expected.expand_as(out), rtol=0, atol=2e-5)


def test_only_the_motion_layers_are_new() -> None:
    unet = loaded(anchor=False, fps=False)
    freeze(unet, "motion")
    rows = {row.part: row for row in count_parameters(unet)}
    theirs = sum(value.numel() for value in load_file(FOLDER / "diffusion_pytorch_model.safetensors").values())
    assert sum(row.frozen for row in rows.values()) == theirs
    assert rows["motion layers"].trained == sum(row.trained for row in rows.values()) > 0


def test_every_weight_of_the_folder_is_used_under_one_of_our_names() -> None:
    state = diffusers_unet_state(FOLDER, loaded().config)
    own = UNet(UNetConfig(**diffusers_unet_config(FOLDER), motion=(), anchor=False, fps=False)).state_dict()
    assert set(state) == set(own)
    assert all(state[name].shape == own[name].shape for name in own)


@pytest.mark.parametrize("changes", [
    {"layers_per_block": 2}, {"use_linear_projection": True},
    {"block_out_channels": (8, 16, 16), "down_block_types": ("CrossAttnDownBlock2D",) * 2 + ("DownBlock2D",),
     "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 2},
])  # fmt: skip
def test_other_layouts_agree_with_an_installed_diffusers(changes: dict[str, Any], tmp_path: Path) -> None:
    if importlib.util.find_spec("diffusers") is None:
        pytest.skip("diffusers is not installed")
    from training.conditions._torchvision import ready

    ready()
    from diffusers import UNet2DConditionModel

    fields = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "cross_attention_dim": 6, "attention_head_dim": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "norm_num_groups": 4,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = UNet2DConditionModel(**{**fields, **changes}).eval()
    theirs.save_pretrained(tmp_path)
    latents, _, text, _ = golden()
    steps = torch.tensor([[0, 400, 999], [1, 2, 3]])
    video = latents.expand(-1, 3, -1, -1, -1)
    with torch.no_grad():
        tokens = text.tokens.repeat_interleave(3, 0)
        expected = theirs(video.flatten(0, 1), steps.flatten(), tokens).sample.view(video.shape)
        out = loaded(tmp_path)(video, steps / 999, text)
    torch.testing.assert_close(out, expected, rtol=0, atol=2e-5)


def test_a_pipelines_folder_is_read_by_its_unet(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "pipeline" / "unet")
    assert is_diffusers_unet(tmp_path / "pipeline")
    assert not is_diffusers_unet(tmp_path)
    latents, t, text, expected = golden()
    torch.testing.assert_close(loaded(tmp_path / "pipeline")(latents, t, text), expected, rtol=0, atol=2e-5)


def test_weights_in_several_files_are_one_model(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "config.json", tmp_path)
    items = list(load_file(FOLDER / "diffusion_pytorch_model.safetensors").items())
    for number, some in enumerate((items[:40], items[40:]), 1):
        save_file(dict(some), tmp_path / f"diffusion_pytorch_model-0000{number}-of-00002.safetensors")
    whole, parts = (diffusers_unet_state(folder, loaded().config) for folder in (FOLDER, tmp_path))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def changed(folder: Path, **fields: Any) -> Path:
    shutil.copytree(FOLDER, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **fields}))
    return folder


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"addition_embed_type": "text_time"}, "addition_embed_type: text_time: this UNet reads only None"),
        ({"transformer_layers_per_block": 2}, "transformer_layers_per_block: 2"),
        ({"attention_head_dim": [5, 10]}, r"attention_head_dim: \[5, 10\]: this UNet has the same at every level"),
        ({"flip_sin_to_cos": False}, "flip_sin_to_cos: False"),
        ({"up_block_types": ["UpBlock2D", "UpBlock2D"]}, "attention is not in one run"),
        ({"down_block_types": ["DownBlock2D", "DownBlock2D"]}, "attention is not in one run"),
    ],
)
def test_a_unet_that_ours_cannot_be_is_refused_by_its_field(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        diffusers_unet_config(changed(tmp_path / "unet", **fields))


def test_heads_in_a_list_that_are_all_the_same_are_a_number(tmp_path: Path) -> None:
    folder = changed(tmp_path / "unet", attention_head_dim=[2, 2], layers_per_block=[1, 1])
    assert diffusers_unet_config(folder) == diffusers_unet_config(FOLDER)


def test_a_recipe_for_another_model_is_told_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        start_from(UNet(UNetConfig()), FOLDER)
    said = str(caught.value)
    fields = said[said.index("model: {") :]
    assert "layout: stable" in fields
    import yaml

    told = parse({**yaml.safe_load(fields), "clips": build.recipe().clips.model_dump()})
    start_from(UNet(told.model), FOLDER)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"is a UNet, and model\.kind is not"):
        start_from(DiT(DiTConfig()), FOLDER)


def test_damaged_and_missing_weights_are_named(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "unet")
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(CorruptionError, match="unet"):
        loaded(folder)
    weights.unlink()
    with pytest.raises(MissingModelError, match=r"no diffusion_pytorch_model\.safetensors"):
        loaded(folder)
    (folder / "config.json").write_text("{")
    assert not is_diffusers_unet(folder)
    with pytest.raises(ConfigError, match="no configuration of a UNet"):
        diffusers_unet_config(folder)


def test_a_connector_brings_another_encoder_to_it() -> None:
    wide = ConnectorConfig(queries=4, width=6, blocks=1, heads=2)
    unet = loaded(text_dim=11, connector=wide)
    latents, t, _, _ = golden()
    out = unet(latents, t, Text(torch.randn(2, 9, 11), torch.ones(2, 9, dtype=torch.bool)))
    assert out.shape == latents.shape
    with pytest.raises(ConfigError, match=r"model\.connector\.width: .* reads 6"):
        loaded(text_dim=11, connector=ConnectorConfig(queries=4, width=8, blocks=1, heads=2))


def test_training_starts_from_a_diffusers_folder_and_keeps_its_spatial_layers(
    squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    model = {**diffusers_unet_config(FOLDER), "text_dim": build.TEXT_DIM, "max_frames": 8, "motion": list(MOTION),
             "connector": {"queries": 4, "width": 6, "blocks": 1, "heads": 2}}  # fmt: skip
    values = build.recipe(clips={"image_probability": 0.0}).model_dump()
    recipe = parse({**values, "model": model, "train": "added", "spatial": str(FOLDER), "diffusion": {
        "objective": "eps", "schedule": "scaled_linear", "zero_terminal_snr": False}})  # fmt: skip
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=2)
    assert 0 < result.trained_parameters < result.parameters
    after = checkpoint.read(result.checkpoint).tensors("model")
    state = diffusers_unet_state(FOLDER, recipe.model)  # type: ignore[arg-type]
    same = {name for name, value in state.items() if name != "conv_in.weight" and torch.equal(after[name], value)}
    assert same == set(state) - {"conv_in.weight"}
    assert torch.equal(after["conv_in.weight"][:, :4], state["conv_in.weight"])


def test_stable_diffusions_own_size_has_its_published_number_of_parameters() -> None:
    config = UNetConfig(
        layout="stable", widths=(320, 640, 1280, 1280), blocks=2, heads=8, attention_until=2, norm_groups=32,
        text_dim=768, motion=(), anchor=False, fps=False,
    )  # fmt: skip
    with torch.device("meta"):
        unet = UNet(config)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964
