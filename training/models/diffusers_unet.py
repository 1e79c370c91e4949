"""Weights of diffusers' UNet2DConditionModel in our UNet: its folder is read, diffusers itself is not needed.

Stable Diffusion 1.x and its kin: one transformer block wherever there is attention, the same number of heads at every
level. What differs is refused in words. With `model.layout: stable` our UNet has these layers, and motion layers beside
them; loaded, and before these are trained, it is the image model on every frame.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from media.errors import ConfigError, CorruptionError, MissingModelError
from training.recipes.models import UNetConfig

__all__ = ["diffusers_unet_config", "diffusers_unet_state", "is_diffusers_unet", "unet_folder"]

_PLAIN: Final[Mapping[str, tuple[Any, ...]]] = {
    "act_fn": ("silu",),
    "addition_embed_type": (None,),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "norm_eps": (1e-5,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_time_scale_shift": ("default",),
    "time_cond_proj_dim": (None,),
    "time_embedding_type": ("positional",),
    "transformer_layers_per_block": (1,),
}
"""What our UNet has no counterpart for, and the value at which it needs none."""

_INNER: Final = (
    ("transformer_blocks.0.norm1.", "norm_self."),
    ("transformer_blocks.0.norm2.", "norm_text."),
    ("transformer_blocks.0.norm3.", "norm_feed."),
    ("transformer_blocks.0.attn1.to_q.", "attend_self.query."),
    ("transformer_blocks.0.attn1.to_out.0.", "attend_self.out."),
    ("transformer_blocks.0.attn2.to_q.", "attend_text.query."),
    ("transformer_blocks.0.attn2.to_out.0.", "attend_text.out."),
    ("transformer_blocks.0.ff.net.0.proj.", "feed.up."),
    ("transformer_blocks.0.ff.net.2.", "feed.down."),
    ("transformer_blocks.0.attn1.to_k.", "attend_self.key."),
    ("transformer_blocks.0.attn1.to_v.", "attend_self.value."),
    ("transformer_blocks.0.attn2.to_k.", "attend_text.key."),
    ("transformer_blocks.0.attn2.to_v.", "attend_text.value."),
    ("time_emb_proj.", "embed."),
    ("conv_shortcut.", "skip."),
)
_OUTER: Final = (
    ("time_embedding.linear_1.", "told.time.0."),
    ("time_embedding.linear_2.", "told.time.2."),
    ("conv_norm_out.", "norm_out."),
)
_BLOCK: Final = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)")
_MIDDLE: Final = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)")


def unet_folder(path: Path) -> Path:
    """Return the UNet's folder: `path` itself, or its part `unet` where `path` is a whole pipeline."""
    return path / "unet" if (path / "unet" / "config.json").is_file() else path


def is_diffusers_unet(path: Path) -> bool:
    """Return whether a folder holds a UNet2DConditionModel, or a pipeline with one."""
    file = unet_folder(path) / "config.json"
    try:
        return file.is_file() and json.loads(file.read_text("utf-8")).get("_class_name") == "UNet2DConditionModel"
    except (ValueError, AttributeError):
        return False


def diffusers_unet_config(path: Path) -> dict[str, Any]:
    """Return the fields of `UNetConfig` that a folder's UNet needs. Raises ConfigError for one that ours cannot be."""
    file = unet_folder(path) / "config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: no configuration of a UNet: {error}") from error
    for name, allowed in _PLAIN.items():
        if name in config and config[name] not in allowed:
            raise ConfigError(f"{file}: {name}: {config[name]}: this UNet reads only {allowed[0]} here")
    heads = config.get("num_attention_heads") or config["attention_head_dim"]  # the name is diffusers' own mistake
    blocks = config["layers_per_block"]
    for name, value in (("attention_head_dim", heads), ("layers_per_block", blocks)):
        if isinstance(value, list):
            if len(set(value)) > 1:
                raise ConfigError(f"{file}: {name}: {value}: this UNet has the same at every level")
            heads, blocks = (value[0], blocks) if value is heads else (heads, value[0])
    attends = [kind == "CrossAttnDownBlock2D" for kind in config["down_block_types"]]
    levels = [level for level, attention in enumerate(attends) if attention]
    mirrored = [kind == "CrossAttnUpBlock2D" for kind in config["up_block_types"]][::-1]
    if not levels or levels != list(range(levels[0], levels[-1] + 1)) or mirrored != attends:
        raise ConfigError(f"{file}: down_block_types: {config['down_block_types']}: attention is not in one run")
    return {
        "kind": "unet", "layout": "stable", "latent_channels": config["in_channels"],
        "text_dim": config["cross_attention_dim"], "widths": tuple(config["block_out_channels"]), "blocks": blocks,
        "heads": heads, "attention_from": levels[0], "attention_until": levels[-1],
        "norm_groups": config["norm_num_groups"],
    }  # fmt: skip


def diffusers_unet_state(path: Path, config: UNetConfig) -> dict[str, Tensor]:
    """Return a folder's weights under the names of our UNet of that configuration, ready for `factory.graft`.

    Raises ConfigError, with the fields to write, where the recipe's model is another; MissingModelError without
    weights; CorruptionError for damaged ones.
    """
    wanted = diffusers_unet_config(path)
    if config.connector is not None:  # the text's own width is the connector's business then
        wanted = {**wanted, "text_dim": config.text_dim}
        if config.connector.width != diffusers_unet_config(path)["text_dim"]:
            raise ConfigError(f"model.connector.width: {path} reads {diffusers_unet_config(path)['text_dim']}")
    until = len(config.widths) - 1 if config.attention_until is None else config.attention_until
    given = {**{name: getattr(config, name) for name in wanted}, "attention_until": until}
    if given != wanted:
        fields = ", ".join(f"{k}: {list(v) if isinstance(v, tuple) else v}" for k, v in wanted.items())
        raise ConfigError(f"spatial: {path} needs model: {{{fields}}}")
    out: dict[str, Tensor] = {}
    halves: dict[str, dict[str, Tensor]] = {}
    for name, value in _weights(unet_folder(path)).items():
        ours = _renamed(name, config.blocks)
        if value.ndim == 4 and value.shape[-1] == 1 and ours.endswith(("proj_in.weight", "proj_out.weight")):
            value = value[:, :, 0, 0]
        for half in ("key", "value"):
            stem, found, _ = ours.partition(f".{half}.weight")
            if found:
                halves.setdefault(f"{stem}.key_value.weight", {})[half] = value
                break
        else:
            out[ours] = value
    return out | {name: torch.cat([both["key"], both["value"]]) for name, both in halves.items()}


def _weights(folder: Path) -> dict[str, Tensor]:
    files = sorted(folder.glob("diffusion_pytorch_model*.safetensors"))
    plain = [file for file in files if ".fp16." not in file.name and ".non_ema." not in file.name] or files
    if not plain:
        raise MissingModelError(f"{folder}: no diffusion_pytorch_model.safetensors; save the model as safetensors")
    try:
        parts = [load_file(file) for file in plain]
    except SafetensorError as error:
        raise CorruptionError(f"{folder}: {error}") from error
    return {name: value.float() for part in parts for name, value in part.items()}


def _renamed(name: str, blocks: int) -> str:
    """Return our name of a parameter of diffusers' UNet2DConditionModel."""
    for theirs, ours in _OUTER:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    if found := _BLOCK.fullmatch(name):
        way, block, kind, index, rest = found.groups()
        if kind == "downsamplers":
            return f"shrink.{block}.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"grow.{block}.{rest.removeprefix('conv.')}"
        stage = int(block) * (blocks + (way == "up")) + int(index)
        return f"{way}.{stage}.{_inner(kind, rest)}"
    if found := _MIDDLE.fullmatch(name):
        kind, index, rest = found.groups()
        return f"middle.{index}.{_inner(kind, rest)}"
    return name


def _inner(kind: str, rest: str) -> str:
    for theirs, ours in _INNER:
        if rest.startswith(theirs):
            rest = ours + rest.removeprefix(theirs)
            break
    return f"{'block' if kind == 'resnets' else 'transformer'}.{rest}"
