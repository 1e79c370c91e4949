"""What every denoiser must do, whatever it is made of: one suite over all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.factory import Denoiser, build_denoiser, count_parameters, freeze, graft
from training.models.inputs import Anchor, Extras, ImagePrompt, Text, class_shares
from training.recipes.models import ConnectorConfig, DenoiserConfig, DiTConfig, ImageConfig, UNetConfig

TEXT_DIM, FRAMES = 6, 3
_UNET: dict[str, Any] = {"widths": (8, 16), "heads": 2, "norm_groups": 4}
_DIT: dict[str, Any] = {"width": 16, "depth": 2, "heads": 2}
KINDS: dict[str, tuple[type[DenoiserConfig], dict[str, Any]]] = {
    "temporal_attention": (UNetConfig, {**_UNET, "motion": ("temporal_attention",)}),
    "temporal_conv": (UNetConfig, {**_UNET, "motion": ("temporal_conv",)}),
    "both": (UNetConfig, {**_UNET, "motion": ("temporal_attention", "temporal_conv")}),
    "stable": (UNetConfig, {**_UNET, "layout": "stable", "attention_until": 0, "widths": (8, 16)}),
    "dit": (DiTConfig, _DIT),
    "dit, patch 1": (DiTConfig, {**_DIT, "patch": 1}),
}
CONDITIONS: dict[str, Any] = {
    "anchor": True, "fps": True, "vectors": ("frames", "size", "motion", "aesthetic"), "segmentation_classes": 3,
    "image": ImageConfig(width=8),
}  # fmt: skip
BARE: dict[str, Any] = {"anchor": False, "fps": False}
EVERY = pytest.mark.parametrize("kind", list(KINDS))


def config(kind: str, **fields: Any) -> DenoiserConfig:
    made, own = KINDS[kind]
    return made(**{"text_dim": TEXT_DIM, "max_frames": 8, **own, **fields})


def awake(module: nn.Module, seed: int = 0, size: float = 0.2) -> None:
    """Give every parameter a random value: what starts at zero would hide what it multiplies."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=noise) * size)


def made(kind: str, *, wake: bool = True, **fields: Any) -> Denoiser:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        denoiser = build_denoiser(config(kind, **fields))
    if wake:
        awake(denoiser)
    return denoiser.eval()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def text(clips: int = 2, length: int = 4, seed: int = 0) -> Text:
    return Text(draw(clips, length, TEXT_DIM, seed=seed), torch.ones(clips, length, dtype=torch.bool))


def inputs(clips: int = 2, frames: int = FRAMES, height: int = 4, width: int = 4) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return draw(clips, frames, 4, height, width), torch.rand(clips, frames, generator=noise)


def differs(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-4)


@EVERY
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 4, 4), (2, 8, 4), (5, 4, 12), (8, 2, 2)])
def test_any_number_of_frames_and_any_size_that_fits(kind: str, frames: int, height: int, width: int) -> None:
    z, t = inputs(2, frames, height, width)
    out = made(kind)(z, t, text())
    assert out.shape == z.shape
    assert out.std() > 1e-3
    assert bool(torch.isfinite(out).all())


@EVERY
def test_clips_of_a_batch_do_not_see_each_other(kind: str) -> None:
    denoiser, (z, t), told = made(kind), inputs(), text()
    alone = torch.cat([denoiser(z[i : i + 1], t[i : i + 1], Text(told.tokens[i : i + 1], told.mask[i : i + 1]))
                       for i in range(2)])  # fmt: skip
    torch.testing.assert_close(denoiser(z, t, told), alone, rtol=0, atol=1e-5)


@EVERY
def test_masked_padding_changes_nothing(kind: str) -> None:
    denoiser, (z, t), told = made(kind), inputs(), text()
    garbage = torch.cat([told.tokens, 100.0 * draw(2, 5, TEXT_DIM)], 1)
    padded = Text(garbage, torch.arange(9).expand(2, -1) < 4)
    torch.testing.assert_close(denoiser(z, t, padded), denoiser(z, t, told), rtol=0, atol=1e-4)


@EVERY
def test_the_unconditional_output_does_not_depend_on_the_prompt(kind: str) -> None:
    # What generation calls unconditional is the empty caption: no part of the prompt reaches it, in one batch or two.
    denoiser, (z, t) = made(kind), inputs(1)
    empty, first, second = text(1, seed=9), text(1, seed=1), text(1, seed=2)
    outs = []
    for prompt in (first, second):
        both = Text(torch.cat([prompt.tokens, empty.tokens]), torch.cat([prompt.mask, empty.mask]))
        outs.append(denoiser(z.expand(2, -1, -1, -1, -1), t.expand(2, -1), both))
    torch.testing.assert_close(outs[0][1], outs[1][1], rtol=0, atol=1e-6)
    assert differs(outs[0][0], outs[1][0])


def prompts(clips: int = 2, seed: int = 4, given: bool = True) -> ImagePrompt:
    return ImagePrompt(draw(clips, 4, 4, 4, seed=seed), torch.full((clips,), given))


def given_conditions(clips: int = 2) -> dict[str, dict[str, Any]]:
    """Every condition, and two ways to say it that must make a difference once the model has learned."""
    mask = torch.zeros(clips, FRAMES)
    mask[:, 0] = 1.0
    classes = torch.zeros(clips, FRAMES, 8, 8, dtype=torch.long)
    return {
        "fps": {"fps": torch.full((clips,), 24.0)},
        "anchor": {"anchor": Anchor(mask, draw(clips, FRAMES, 4, 4, 4, seed=3))},
        "frames": {"extras": Extras({"frames": torch.full((clips,), 16.0)})},
        "size": {"extras": Extras({"size": torch.tensor([[64.0, 96.0]]).expand(clips, 2)})},
        "motion": {"extras": Extras({"motion": torch.full((clips,), 30.0)})},
        "aesthetic": {"extras": Extras({"aesthetic": torch.full((clips,), 6.5)})},
        "segmentation": {"extras": Extras(segmentation=classes)},
        "image": {"extras": Extras(image=prompts(clips))},
    }


@EVERY
@pytest.mark.parametrize("name", list(given_conditions()))
def test_a_condition_changes_the_output_only_when_the_model_has_it(kind: str, name: str) -> None:
    (z, t), told, given = inputs(), text(), given_conditions()[name]
    with_all = made(kind, **CONDITIONS)
    assert differs(with_all(z, t, told, **given), with_all(z, t, told))
    without = made(kind, **BARE)
    with pytest.raises(ConfigError, match=r"this model was trained"):
        without(z, t, told, **given)


@EVERY
@pytest.mark.parametrize("name", list(given_conditions()))
def test_a_fresh_condition_says_nothing(kind: str, name: str) -> None:
    bare = made(kind, **BARE)
    grown = made(kind, wake=False, **CONDITIONS)
    graft(grown, bare.state_dict())
    (z, t), told = inputs(), text()
    expected = bare(z, t, told)
    assert expected.std() > 1e-3
    torch.testing.assert_close(grown(z, t, told, **given_conditions()[name]), expected, rtol=0, atol=1e-5)


@EVERY
def test_what_is_not_known_is_as_if_not_said(kind: str) -> None:
    denoiser, (z, t), told = made(kind, **CONDITIONS), inputs(), text()
    silent = denoiser(z, t, told)
    nothing = torch.full((2,), torch.nan)
    unknown = Extras(
        {"frames": nothing, "size": nothing[:, None].expand(2, 2), "motion": nothing, "aesthetic": nothing},
        prompts(given=False), torch.full((2, FRAMES, 4, 4), -1),
    )  # fmt: skip
    torch.testing.assert_close(denoiser(z, t, told, extras=unknown), silent, rtol=0, atol=1e-6)
    half = Extras(
        {"motion": torch.tensor([5.0, torch.nan])}, ImagePrompt(prompts().latents, torch.tensor([True, False]))
    )
    out = denoiser(z, t, told, extras=half)
    assert differs(out[0], silent[0])
    torch.testing.assert_close(out[1], silent[1], rtol=0, atol=1e-6)


@EVERY
def test_the_gate_of_an_image_prompt_has_a_gradient_at_the_start(kind: str) -> None:
    bare, grown = made(kind, **BARE), made(kind, wake=False, **BARE, image=ImageConfig(width=8))
    graft(grown, bare.state_dict())
    (z, t), told = inputs(), text()
    target = draw(*z.shape, seed=8)
    (grown(z, t, told, extras=Extras(image=prompts())) - target).square().mean().backward()  # type: ignore[no-untyped-call]
    gates = {name: p for name, p in grown.named_parameters() if name.endswith("fusion.alpha")}
    assert gates
    assert all(p.item() == 0.0 for p in gates.values())
    assert all(p.grad is not None and p.grad.abs() > 0 for p in gates.values())
    shut = [p for name, p in grown.named_parameters() if "fusion.key_value" in name]
    assert all(p.grad is not None and p.grad.abs().max() == 0 for p in shut)


@EVERY
def test_times_are_per_frame(kind: str) -> None:
    denoiser, (z, t), told = made(kind), inputs(), text()
    moved = t.clone()
    moved[:, 1] = 1.0 - moved[:, 1]
    assert differs(denoiser(z, moved, told)[:, 1], denoiser(z, t, told)[:, 1])


@EVERY
def test_every_parameter_is_reached_by_a_gradient(kind: str) -> None:
    denoiser = made(kind, **CONDITIONS, connector=ConnectorConfig(queries=3, width=8, blocks=1, heads=2))
    (z, t), told, given = inputs(), text(), given_conditions()
    vectors = {name: v for n in CONDITIONS["vectors"] for name, v in given[n]["extras"].vectors.items()}
    extras = Extras(vectors, prompts(), given["segmentation"]["extras"].segmentation)
    out = denoiser(z, t, told, fps=torch.tensor([8.0, 24.0]), anchor=given["anchor"]["anchor"], extras=extras)
    out.square().mean().backward()  # type: ignore[no-untyped-call]
    assert [name for name, p in denoiser.named_parameters() if p.grad is None] == []


@EVERY
def test_sizes_that_do_not_fit_are_refused(kind: str) -> None:
    denoiser = made(kind)
    if denoiser.config.multiple == 1:
        return
    z, t = inputs(1, 2, 4, 5)
    with pytest.raises(ConfigError, match=r"latents of 5x4: this denoiser needs multiples of 2"):
        denoiser(z, t, text(1))


@pytest.mark.parametrize("kind", ["temporal_attention", "dit"])
def test_too_many_frames_are_refused(kind: str) -> None:
    z, t = inputs(1, 9)
    with pytest.raises(ConfigError, match=r"9 frames, but model\.max_frames is 8: ask for fewer"):
        made(kind)(z, t, text(1))


@EVERY
def test_a_connector_takes_the_place_of_the_text(kind: str) -> None:
    wide = ConnectorConfig(queries=5, width=8, blocks=1, heads=2)
    plain, joined = made(kind, text_dim=8), made(kind, connector=wide)
    assert plain.config.context_dim == joined.config.context_dim == 8
    graft(joined, plain.state_dict())  # a connector brings another encoder to a denoiser that was made for one
    (z, t), told = inputs(), text()
    given = joined.told.text(told, t)
    assert given.tokens.shape == (2, 5, 8)
    torch.testing.assert_close(joined(z, t, told), plain(z, t, given), rtol=0, atol=1e-5)


@EVERY
def test_parameters_are_counted_by_part(kind: str) -> None:
    denoiser = made(kind, **CONDITIONS)
    rows = count_parameters(denoiser)
    assert sum(row.trained + row.frozen for row in rows) == sum(p.numel() for p in denoiser.parameters())
    assert sum(row.frozen for row in rows) == 0
    parts = {row.part for row in rows}
    assert {"text attention", "image condition", "time and numbers"} <= parts
    assert ("motion layers" in parts) == isinstance(denoiser.config, UNetConfig)
    assert ("transformer" in parts) == isinstance(denoiser.config, DiTConfig)
    assert [row.trained for row in rows] == sorted((row.trained for row in rows), reverse=True)


def test_only_motion_layers_train_where_asked_and_a_dit_has_none() -> None:
    unet = made("both", vectors=("motion",))
    freeze(unet, "motion")
    rows = {row.part: row for row in count_parameters(unet)}
    assert rows.pop("motion layers").frozen == 0
    assert all(row.trained == 0 and row.frozen > 0 for row in rows.values())
    dit = made("dit")
    freeze(dit, "all")
    assert all(row.frozen == 0 for row in count_parameters(dit))
    with pytest.raises(ConfigError, match="a dit has no motion layers"):
        freeze(dit, "motion")


@EVERY
def test_all_that_was_added_trains_where_asked(kind: str) -> None:
    wide = ConnectorConfig(queries=3, width=8, blocks=1, heads=2)
    plain, grown = made(kind, **BARE, text_dim=8), made(kind, **CONDITIONS, connector=wide)
    freeze(grown, "added")
    old = set(plain.state_dict()) - ({n for n in plain.state_dict() if ".motion." in n})
    trained = {name for name, p in grown.named_parameters() if p.requires_grad}
    assert trained.isdisjoint(old)
    assert trained == {name for name, _ in grown.named_parameters()} - old
    assert {"text connector", "image condition"} <= {row.part for row in count_parameters(grown) if row.trained}


def test_one_denoisers_weights_are_no_others() -> None:
    with pytest.raises(ConfigError, match=r"does not fit this model: .*\(model\.kind"):
        graft(made("dit"), made("both").state_dict())
    with pytest.raises(ConfigError, match="does not fit"):
        graft(made("dit"), made("dit", text_dim=9).state_dict())


def test_classes_are_shares_of_each_positions_area() -> None:
    classes = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    classes[0, 0, :2, :2] = 2
    classes[0, 0, 0, 0] = 1
    classes[0, 0, 2:, 2:] = -1
    shares = class_shares(classes, 3, 2, 2)
    assert shares.shape == (1, 1, 3, 2, 2)
    assert shares[0, 0, :, 0, 0].tolist() == [0.0, 0.25, 0.75]
    assert shares[0, 0, :, 0, 1].tolist() == [1.0, 0.0, 0.0]
    assert shares[0, 0, :, 1, 1].tolist() == [0.0, 0.0, 0.0]
    beyond = class_shares(torch.full((1, 1, 4, 4), 7), 3, 2, 2)
    assert beyond.abs().max() == 0


@EVERY
def test_half_precision_gives_nearly_the_same(kind: str) -> None:
    denoiser = made(kind, **CONDITIONS, connector=ConnectorConfig(queries=3, width=8, blocks=1, heads=2))
    (z, t), told, given = inputs(), text(), given_conditions()
    extras = Extras(given["size"]["extras"].vectors, prompts(), given["segmentation"]["extras"].segmentation)
    outs = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = denoiser(z, t, told, fps=torch.tensor([8.0, 24.0]), anchor=given["anchor"]["anchor"], extras=extras)
        out.float().square().mean().backward()  # type: ignore[no-untyped-call]
        outs.append(out.float())
    assert (outs[1] - outs[0]).abs().max() < 0.1 * outs[0].abs().max()
    gradients = [p.grad for p in denoiser.parameters() if p.grad is not None]
    assert len(gradients) > 10
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
