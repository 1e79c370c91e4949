"""Tiny checkpoints with random weights, in the format that each standard model is saved in: a few hundred kB in all.

They say nothing sensible, but they go through the very code that the real ones go through: config, tokenizer, picture
processor, weights, all read from a folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from experts.torchvision import have_torchvision, ready

MEAN: Final = [0.48145466, 0.4578275, 0.40821073]
STD: Final = [0.26862954, 0.26130258, 0.27577711]
SIDE: Final = 32
DIM: Final = 16
_TEXT: Final = "[PAD] [UNK] [CLS] [SEP] . a an the photo of person dog cat car two three red is shows scene video"
WORDS: Final = tuple(_TEXT.split())

VOCABULARY: Final = """
subject: [a dog, a cat, a red car]
setting: [a street, a beach]
style: [a photograph, a drawing]
"""


def word_tokenizer(folder: Path) -> None:
    """A tokenizer of whole words, saved into `folder`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = ("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=list(ends))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)


def processor_config(folder: Path, kind: str, size: Any, **more: Any) -> None:
    """A preprocessor_config.json as the hub has it."""
    said = {"image_processor_type": kind, "size": size, "image_mean": MEAN, "image_std": STD, **more}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))


def open_clip_model(folder: Path, *, sigmoid: bool = False) -> None:
    """CLIP (or SigLIP, by its bias) of open_clip, with CLIP's own tokenizer."""
    ready()
    import open_clip
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    if sigmoid:
        config |= {"init_logit_bias": -10.0, "init_logit_scale": 2.3, "custom_text": True}
    torch.manual_seed(3)
    kind = open_clip.CustomTextCLIP if sigmoid else open_clip.CLIP
    model = kind(**{name: value for name, value in config.items() if name != "custom_text"})
    picture = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    written = {"model_cfg": config, "preprocess_cfg": picture}
    (folder / "open_clip_config.json").write_text(json.dumps(written))
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "open_clip_model.safetensors")


def siglip_model(folder: Path) -> None:
    open_clip_model(folder, sigmoid=True)


def aesthetic_head(path: Path) -> None:
    """The improved predictor: linear layers with dropout between them."""
    from safetensors.torch import save_file

    torch.manual_seed(5)
    layers = {}
    for number, (inward, outward) in {0: (DIM, 8), 2: (8, 4), 4: (4, 1)}.items():
        layers[f"layers.{number}.weight"] = torch.randn(outward, inward)
        layers[f"layers.{number}.bias"] = torch.randn(outward)
    save_file(layers, path)


def captioner(folder: Path) -> None:
    """Qwen2.5-VL with bytes as tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    special.append("<|video_pad|>")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    number = {word: made.token_to_id(word) for word in special}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 8192,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "bos_token_id": number["<|endoftext|>"],
            "eos_token_id": number["<|im_end|>"],
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
    )
    torch.manual_seed(7)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    sizes = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    processor_config(folder, "Qwen2VLImageProcessor", sizes, patch_size=14, temporal_patch_size=2, merge_size=2)


def grounding_dino(folder: Path) -> None:
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    word_tokenizer(folder)
    torch.manual_seed(9)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=SIDE,
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 1, 1],
            window_size=2,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        ),
        d_model=32,
        num_queries=8,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_feature_levels=4,
        encoder_n_points=2,
        decoder_n_points=2,
        max_text_len=64,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    processor_config(folder, "GroundingDinoImageProcessor", {"shortest_edge": 96, "longest_edge": 192})


def owlv2(folder: Path) -> None:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2TextConfig, Owlv2VisionConfig

    word_tokenizer(folder)
    torch.manual_seed(11)
    config = Owlv2Config(
        text_config=Owlv2TextConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=8,
        ),
        vision_config=Owlv2VisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
        ),
        projection_dim=16,
    )
    Owlv2ForObjectDetection(config).save_pretrained(folder)
    processor_config(folder, "Owlv2ImageProcessor", {"height": SIDE, "width": SIDE})


def depth_anything(folder: Path, *, kind: str = "relative") -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(13)
    config = DepthAnythingConfig(
        backbone_config=Dinov2Config(
            image_size=28,
            patch_size=14,
            hidden_size=16,
            num_hidden_layers=4,
            num_attention_heads=2,
            out_features=["stage1", "stage2", "stage3", "stage4"],
            reshape_hidden_states=False,
        ),
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20 if kind == "metric" else 1,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    more = {"keep_aspect_ratio": True, "ensure_multiple_of": 14, "do_resize": True}
    processor_config(folder, "DPTImageProcessor", {"height": 28, "width": 28}, **more)


def sam2(folder: Path) -> None:
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model
    from transformers.models.sam2.configuration_sam2 import (
        Sam2MaskDecoderConfig,
        Sam2PromptEncoderConfig,
        Sam2VisionConfig,
    )

    side = 128
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 2, 1, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[2],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side // 4, side // 4], [side // 8, side // 8], [side // 16, side // 16]],
        fpn_hidden_size=32,
    )
    prompt = Sam2PromptEncoderConfig(hidden_size=32, image_size=side, patch_size=16, mask_input_channels=4)
    decoder = Sam2MaskDecoderConfig(
        hidden_size=32, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16
    )
    torch.manual_seed(15)
    made = Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    Sam2Model(made).save_pretrained(folder)


def raft_small(path: Path) -> None:
    ready()
    from torchvision.models.optical_flow import raft_small as make

    torch.manual_seed(17)
    torch.save(make(weights=None).state_dict(), path)


def videomae(folder: Path) -> None:
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(19)
    config = VideoMAEConfig(
        image_size=SIDE,
        patch_size=16,
        num_frames=4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    VideoMAEModel(config).save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    processor_config(folder, "VideoMAEImageProcessor", {"shortest_edge": SIDE}, crop_size=square)


def xclip(folder: Path) -> None:
    from transformers import XCLIPConfig, XCLIPModel

    torch.manual_seed(21)
    config = XCLIPConfig(
        text_config={
            "vocab_size": 32,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 8,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mit_hidden_size": 16,
            "mit_intermediate_size": 16,
            "mit_num_hidden_layers": 1,
            "mit_num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 16,
            "num_frames": 4,
        },
        projection_dim=16,
        prompt_num_attention_heads=2,
    )
    XCLIPModel(config).save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    processor_config(folder, "VideoMAEImageProcessor", {"shortest_edge": SIDE}, crop_size=square)


def quality_head(path: Path, **changes: Any) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(23)
    tensors = {}
    for branch, share in (("technical", 0.4), ("aesthetic", 0.6)):
        tensors |= {
            f"{branch}.hidden.weight": torch.randn(8, 16),
            f"{branch}.hidden.bias": torch.randn(8),
            f"{branch}.last.weight": torch.randn(1, 8),
            f"{branch}.last.bias": torch.randn(1),
            f"{branch}.mean": torch.tensor([0.1]),
            f"{branch}.std": torch.tensor([0.7]),
            f"{branch}.weight": torch.tensor([share]),
        }
    save_file({name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}, path)


def vocabulary(path: Path) -> None:
    path.write_text(VOCABULARY)


_FOLDERS: Final[dict[str, Callable[[Path], None]]] = {
    "clip": open_clip_model,
    "siglip": siglip_model,
    "captioner": captioner,
    "detector": grounding_dino,
    "depth": depth_anything,
    "segmentation": sam2,
    "video_embedding": videomae,
}
_FILES: Final[dict[str, tuple[str, Callable[[Path], None]]]] = {
    "vocabulary": ("vocabulary.yaml", vocabulary),
    "aesthetic": ("head.safetensors", aesthetic_head),
    "raft": ("raft_small.pth", raft_small),
    "video_quality": ("quality.safetensors", quality_head),
}
NEEDS_TORCHVISION: Final = frozenset({"clip", "siglip", "raft"})


class Checkpoints:
    """The tiny models by role, each written when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, role: str) -> Path:
        ready()
        made = self.folder / role
        if role in _FILES:
            name, write = _FILES[role]
            if not (made / name).exists():
                made.mkdir(exist_ok=True)
                write(made / name)
            return made / name
        if not made.exists():
            made.mkdir()
            _FOLDERS[role](made)
        return made

    def of(self, roles: tuple[str, ...]) -> dict[str, Path]:
        """An override with the tiny model of every role."""
        return {role: self[role] for role in roles}


def lacks(roles: tuple[str, ...]) -> str | None:
    """Why an expert of these roles cannot be tested here; None if it can."""
    import importlib.util

    if NEEDS_TORCHVISION.isdisjoint(roles):
        return None
    if not have_torchvision():
        return "torchvision is not installed (the extra `clip`)"
    if {"clip", "siglip"} & set(roles) and importlib.util.find_spec("open_clip") is None:
        return "open_clip is not installed (the extra `clip`)"
    return None
