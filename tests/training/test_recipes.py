"""Recipes: by name, from YAML, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from media.errors import ConfigError
from training.recipes import NAMED, DiffusionRecipe, VaeRecipe, load, parse


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_named_recipe_survives_yaml(name: str, tmp_path: Path) -> None:
    recipe = load(name)
    assert recipe.name == name
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert load(file) == recipe


def fields(model: type[BaseModel]) -> list[tuple[str, str | None]]:
    found = []
    for name, field in model.model_fields.items():
        found.append((f"{model.__name__}.{name}", field.description))
        for kind in sections(field.annotation):
            found += fields(kind)
    return found


def sections(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]


def test_every_field_is_described() -> None:
    silent = [name for kind in (DiffusionRecipe, VaeRecipe) for name, text in fields(kind) if not text]
    assert silent == []
    named = {name.partition(".")[0] for kind in (DiffusionRecipe, VaeRecipe) for name, _ in fields(kind)}
    assert {"UNetConfig", "DiTConfig", "ConnectorConfig", "ImageConfig", "VaeConfig", "VideoVaeConfig"} <= named


def test_a_file_says_only_what_differs_from_its_base(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: tiny\nname: mine\noptimiser: {lr: 0.5}\n")
    recipe, base = load(file), load("tiny")
    assert recipe.name == "mine"
    assert recipe.optimiser.lr == 0.5
    assert recipe.optimiser.ema_decay == base.optimiser.ema_decay
    assert recipe.loop == base.loop


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimiser: {learning_rate: 1}", "optimiser.learning_rate: unknown key; there are accumulate"),
        ("optimizer: {lr: 1}", "optimizer: unknown key; did you mean optimiser?"),
        ("model: {width: [8]}", "model.width: unknown key; did you mean widths?"),
        ("clips: {plan: {bucket: []}}", "clips.plan.bucket"),
        ("optimiser: {lr: -1}", "optimiser.lr: Input should be greater than 0"),
        ("task: poetry", "poetry"),
        ("base: tinny", "base: no recipe is named 'tinny'; there are tiny, vae"),
        ("[1, 2]", "a recipe is a mapping of fields, not list"),
        ("a: [", "not YAML"),
        ("diffusion: {objective: eps}", "zero_terminal_snr: eps carries no signal at pure noise"),
        ("model: {anchor: false}", "anchor.probability: the model takes no anchor"),
        ("anchor: {fill: zeros}", "anchor.residual: needs anchor.fill: repeat"),
        ("model: {motion: []}\ntrain: motion", "train: motion, but model.motion is empty"),
        ("model: {widths: [30, 60]}", "30 is not divisible by norm_groups=16"),
        ("model: {max_frames: 8}", "16x64x64@8, but model.max_frames is 8"),
        ("model: {widths: [16, 16, 16, 16, 16]}", "this model needs multiples of 128 px"),
        ("model: {kind: transformer}", "model: kind: there are unet and dit"),
        ("model: {kind: dit, widths: [8]}", "model.widths: unknown key; did you mean width?"),
        ("model: {image: {size: 8}}", "model.image.size: unknown key; there are patch, width"),
        ("model: {kind: dit, connector: {heads: 0}}", "model.connector.heads: Input should be greater than"),
        ("model: {vectors: [motion, speed]}", "model.vectors.1: Input should be 'frames', 'size', 'motion' or"),
        ("model: {vectors: [motion, motion]}", "vectors: motion, motion: one is there twice"),
        ("model: {kind: dit, patch: 3}", "this model needs multiples of 24 px"),
        ("model: {kind: dit}\ntrain: motion", "train: motion, but model.motion is empty, or the model has none"),
        ("model: {connector: {}}\ntrain: motion", "train: motion would leave model.connector as it is made"),
        ("model: {motion: [conv3d]}", "model.motion.0: Input should be 'temporal_attention' or 'temporal_conv'"),
        ("anchor: {frames: {}}", "anchor.frames: Dictionary should have at least 1 item"),
        ("anchor: {frames: {first: 0}}", "anchor.frames.first: Input should be greater than 0"),
        ("diffusion: {timestep_shift: 0}", "diffusion.timestep_shift: Input should be greater than 0"),
        ("captions: {dense: 0.8, medium: 0.3}", "dense: 0.8 and medium: 0.3 are more than 1 together"),
        ("task: vae\nmodel: {kind: video, clip_frames: 8}", "clip_frames: 8, but a causal clip has 4k + 1 frames"),
        ("task: vae\nmodel: {kind: sound}", "model: kind: there are image and video"),
    ],
)
def test_a_mistake_is_one_line_with_file_field_and_fix(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    said = str(caught.value)
    assert message in said
    assert said.startswith(str(file))
    assert "\n" not in said


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"neither a recipe \(tiny, vae\) nor a YAML file; did you mean tiny\?"):
        load("tinyy")


def test_parsing_leaves_its_argument_alone() -> None:
    values = {"base": "tiny", "optimiser": {"lr": 0.1}}
    parse(values)
    assert values == {"base": "tiny", "optimiser": {"lr": 0.1}}


def test_the_recipes_of_the_documentation_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(examples) >= 3
    kinds = [parse(example).model.kind for example in examples]
    assert {"unet", "dit"} <= set(kinds)
