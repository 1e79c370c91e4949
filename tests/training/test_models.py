"""The denoiser and its motion layers: what they are at the start, what trains, what they may see."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.factory import graft
from training.models.layers import sinusoid
from training.models.motion import TemporalAttention, TemporalConv, motion_layer
from training.models.unet import Anchor, Text, UNet
from training.recipes.config import MotionLayer, UNetConfig

KINDS: tuple[MotionLayer, ...] = get_args(MotionLayer)
MOTIONS: list[tuple[MotionLayer, ...]] = [(kind,) for kind in KINDS] + [KINDS]
FRAMES = 5


def config(motion: tuple[MotionLayer, ...] = (), *, anchor: bool = False, fps: bool = False) -> UNetConfig:
    return UNetConfig(
        widths=(8, 16), heads=2, norm_groups=4, text_dim=6, max_frames=8, motion=motion, anchor=anchor, fps=fps
    )


def awake(module: nn.Module, seed: int = 0) -> None:
    """Give every parameter a random value: what starts at zero would hide what it multiplies."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=noise) * 0.2)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def text(clips: int = 2, seed: int = 0) -> Text:
    mask = torch.ones(clips, 3, dtype=torch.bool)
    mask[-1, 2] = False
    return Text(draw(clips, 3, 6, seed=seed), mask)


def grafted(motion: tuple[MotionLayer, ...], *, anchor: bool = False, fps: bool = False) -> tuple[UNet, UNet]:
    """Return an image UNet with random weights and the video UNet made of it, its new parts fresh."""
    image = UNet(config())
    awake(image)
    video = UNet(config(motion, anchor=anchor, fps=fps))
    graft(video, image.state_dict())
    return image.eval(), video.eval()


def per_frame(unet: UNet, z: Tensor, t: Tensor, told: Text) -> Tensor:
    frames = [unet(z[:, f : f + 1], t[:, f : f + 1], told) for f in range(z.shape[1])]
    return torch.cat(frames, 1)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_fresh_video_unet_is_the_image_unet_on_every_frame(motion: tuple[MotionLayer, ...]) -> None:
    image, video = grafted(motion, anchor=True, fps=True)
    z, t = draw(2, FRAMES, 4, 6, 4), torch.rand(2, FRAMES)
    expected = per_frame(image, z, t, text())
    assert expected.std() > 0.1
    out = video(z, t, text(), fps=torch.tensor([8.0, 24.0]))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("motion", MOTIONS)
def test_an_image_skips_the_motion_layers(motion: tuple[MotionLayer, ...]) -> None:
    image, video = grafted(motion)
    for number, parameter in enumerate(video.motion_parameters()):
        parameter.data = draw(*parameter.shape, seed=number)
    z, t = draw(2, 1, 4, 4, 4), torch.rand(2, 1)
    assert torch.equal(video(z, t, text()), image(z, t, text()))
    still = torch.cat([z, z], 1)
    changed = video(still, t.expand(2, 2), text())
    assert (changed - image(still, t.expand(2, 2), text())).abs().max() > 1e-3


@pytest.mark.parametrize("motion", MOTIONS)
def test_only_motion_parameters_get_gradients_when_the_spatial_layers_are_frozen(
    motion: tuple[MotionLayer, ...],
) -> None:
    _, video = grafted(motion, anchor=True, fps=True)
    video.freeze_spatial()
    video(draw(2, FRAMES, 4, 4, 4), torch.rand(2, FRAMES), text()).square().mean().backward()
    with_gradient = {name for name, p in video.named_parameters() if p.grad is not None}
    assert with_gradient
    assert all(".motion." in name for name in with_gradient)
    assert len(with_gradient) == len(list(video.motion_parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_gradient_reaches_the_layer_that_starts_at_zero(kind: MotionLayer) -> None:
    layer = motion_layer(kind, 8, 2, 4, 8)
    x = draw(FRAMES, 8, 3, 3)
    assert torch.equal(layer(x, FRAMES), x)
    (layer(x, FRAMES) * draw(FRAMES, 8, 3, 3, seed=1)).sum().backward()
    moved = {name for name, p in layer.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    last = "proj_out" if kind == "temporal_attention" else "convs.3"
    assert moved == {f"{last}.weight", f"{last}.bias"}


def test_a_permutation_of_frames_matters_only_through_the_positions() -> None:
    layer = TemporalAttention(8, 2, 4, 8)
    awake(layer)
    x, order = draw(FRAMES, 8, 3, 3), torch.tensor([3, 0, 4, 1, 2])
    assert (layer(x[order], FRAMES) - layer(x, FRAMES)[order]).abs().max() > 1e-3
    layer.positions.zero_()
    torch.testing.assert_close(layer(x[order], FRAMES), layer(x, FRAMES)[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_motion_layers_mix_frames_but_neither_clips_nor_positions(kind: MotionLayer) -> None:
    layer = motion_layer(kind, 8, 2, 4, 8)
    awake(layer)
    x = draw(2 * FRAMES, 8, 3, 3)
    base = layer(x, FRAMES)
    moved = x.clone()
    moved[1, :, 0, 0] += draw(8, seed=5)
    change = (layer(moved, FRAMES) - base).abs().amax(1) > 1e-6
    assert bool(change[:FRAMES, 0, 0].all() if kind == "temporal_attention" else change[:3, 0, 0].all())
    assert not bool(change[FRAMES:].any())


def test_attention_normalises_each_frame_by_itself() -> None:
    # AnimateDiff's GroupNorm: brightening one frame must not change how another is normalised.
    layer = TemporalAttention(8, 2, 4, 8)
    awake(layer)
    x = draw(FRAMES, 8, 3, 3)
    seen: list[Tensor] = []
    layer.norm.register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    layer(x, FRAMES)
    layer(torch.cat([x[:1] * 9.0, x[1:]]), FRAMES)
    torch.testing.assert_close(seen[0][1:], seen[1][1:])


def test_temporal_convolution_sees_three_frames_a_layer() -> None:
    layer = TemporalConv(8, 4)
    awake(layer)
    for norm in layer.norms:  # its norms look at all frames, as the original's do: take them out of the question
        norm.forward = lambda x: x  # type: ignore[method-assign]
    x = draw(12, 8, 2, 2)
    moved = x.clone()
    moved[0] += 1.0
    change = (layer(moved, 12) - layer(x, 12)).abs().amax((1, 2, 3)) > 1e-7
    assert change.tolist() == [True] * 5 + [False] * 7


def test_more_frames_than_positions_is_said_clearly() -> None:
    _, video = grafted(("temporal_attention",))
    with pytest.raises(ConfigError, match=r"9 frames, but model\.max_frames is 8"):
        video(draw(1, 9, 4, 4, 4), torch.rand(1, 9), text(1))


def test_the_anchor_is_an_identity_at_the_start() -> None:
    image, video = grafted((), anchor=True)
    assert video.conv_in.weight.shape[1] == 9
    z, t = draw(2, FRAMES, 4, 4, 4), torch.rand(2, FRAMES)
    anchor = Anchor((torch.rand(2, FRAMES) < 0.5).float(), draw(2, FRAMES, 4, 4, 4, seed=3))
    torch.testing.assert_close(video(z, t, text(), anchor=anchor), image(z, t, text()), rtol=0, atol=1e-5)


def test_each_condition_changes_the_output_once_its_weights_do() -> None:
    video = UNet(config(("temporal_attention",), anchor=True, fps=True))
    awake(video)
    z, t, told = draw(1, 3, 4, 4, 4), torch.rand(1, 3), text(1)
    base = video(z, t, told, fps=torch.tensor([8.0]))

    def differs(out: Tensor) -> bool:
        return bool((out - base).abs().max() > 1e-4)

    assert differs(video(z, t, text(1, seed=9), fps=torch.tensor([8.0])))
    assert differs(video(z, t, told, fps=torch.tensor([24.0])))
    assert differs(video(z, 1.0 - t, told, fps=torch.tensor([8.0])))
    mask = torch.tensor([[1.0, 0.0, 0.0]])
    assert differs(video(z, t, told, fps=torch.tensor([8.0]), anchor=Anchor(mask, torch.zeros_like(z))))


def test_masked_padding_changes_nothing() -> None:
    video = UNet(config())
    awake(video)
    z, t, told = draw(1, 2, 4, 4, 4), torch.rand(1, 2), Text(draw(1, 3, 6), torch.ones(1, 3, dtype=torch.bool))
    padded = Text(torch.cat([told.tokens, 100.0 * draw(1, 4, 6)], 1), torch.arange(7)[None] < 3)
    torch.testing.assert_close(video(z, t, padded), video(z, t, told), rtol=0, atol=1e-5)


def test_each_clip_reads_its_own_text() -> None:
    video = UNet(config(("temporal_attention",)))
    awake(video)
    z, t, told = draw(2, 3, 4, 4, 4), torch.rand(2, 3), text()
    base = video(z, t, told)
    other = Text(torch.cat([told.tokens[:1], told.tokens[1:] + 1.0]), told.mask)
    changed = (video(z, t, other) - base).abs().amax((2, 3, 4))
    assert changed[0].max() < 1e-6
    assert changed[1].min() > 1e-5


@pytest.mark.parametrize(
    ("given", "message"),
    [("fps", "model.fps: false"), ("anchor", "model.anchor: false"), ("size", "multiples of 2")],
)
def test_what_the_model_cannot_do_is_said_clearly(given: str, message: str) -> None:
    video = UNet(config())
    z, t = draw(1, 2, 4, 4, 5 if given == "size" else 4), torch.rand(1, 2)
    anchor = Anchor(torch.ones(1, 2), z) if given == "anchor" else None
    with pytest.raises(ConfigError, match=message):
        video(z, t, text(1), fps=torch.tensor([8.0]) if given == "fps" else None, anchor=anchor)


def test_grafting_refuses_what_does_not_fit() -> None:
    other = UNet(UNetConfig(widths=(4, 8), heads=2, norm_groups=4, text_dim=6, motion=(), anchor=False, fps=False))
    with pytest.raises(ConfigError, match="does not fit this model"):
        graft(UNet(config()), other.state_dict())
    partial = {k: v for k, v in UNet(config()).state_dict().items() if "conv_out" not in k}
    with pytest.raises(ConfigError, match="conv_out"):
        graft(UNet(config()), partial)


def test_three_levels_and_more_blocks_fit_together() -> None:
    deep = UNet(UNetConfig(widths=(8, 8, 16), blocks=2, heads=2, norm_groups=4, text_dim=6, motion=(), fps=False))
    awake(deep)
    assert deep(draw(1, 2, 4, 8, 12), torch.rand(1, 2), text(1)).shape == (1, 2, 4, 8, 12)


def test_sinusoids_tell_times_apart() -> None:
    codes = sinusoid(torch.arange(1000.0), 32)
    assert codes.shape == (1000, 32)
    distance = torch.cdist(codes, codes) + torch.eye(1000) * 10
    assert distance.min() > 0.05
    assert sinusoid(torch.tensor([1.0]), 5).shape == (1, 5)
