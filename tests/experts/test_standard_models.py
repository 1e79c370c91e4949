"""What each standard model is asked and what is made of its answer, held against the libraries' own ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

import experts
from experts.base import ClipView, Rgb
from experts.standard import _place
from experts.standard._grounding import _square
from experts.standard._pixels import normalised, picture_spec
from experts.standard._vocabulary import vocabulary
from experts.standard.aesthetic import linear_head
from experts.standard.detector import Box, _boxes, _columns, plain, plural
from experts.torchvision import have_torchvision, ready
from media.errors import ConfigError
from tests.experts import tiny
from tests.experts.conftest import view_of

with_open_clip = pytest.mark.skipif(tiny.lacks(("clip",)) is not None, reason=str(tiny.lacks(("clip",))))
with_torchvision = pytest.mark.skipif(not have_torchvision(), reason="torchvision is not installed")


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_place.DEVICE, "cpu")


@pytest.fixture
def frames() -> list[Rgb]:
    dice = np.random.default_rng(4)
    return [dice.integers(0, 255, (72, 96, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture
def load(checkpoints: tiny.Checkpoints) -> Callable[..., Any]:
    def loaded(name: str, **other: Path) -> Any:
        roles = tuple(role for role in experts.expert_class(name).roles if role not in other)
        return experts.load(name, "standard", override={**checkpoints.of(roles), **other})

    return loaded


def unit(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# CLIP and SigLIP


@with_open_clip
def test_clip_sees_what_open_clip_sees_and_scores_by_the_papers_equation(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints, frames: list[Rgb]
) -> None:
    ready()
    import open_clip
    from PIL import Image

    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{checkpoints['clip']}")
    read = open_clip.get_tokenizer(f"local-dir:{checkpoints['clip']}")
    with torch.inference_mode():
        pictures = unit(model.eval().encode_image(torch.stack([prepare(Image.fromarray(f)) for f in frames])).numpy())
        text = unit(model.encode_text(read(["a red car", "a dog"])).numpy())
    clip, view = load("clip"), view_of(frames)
    assert np.allclose(clip.embed([view])[0], pictures, atol=1e-5)
    assert np.allclose(clip.measure([view])[0]["clip_embedding"], unit(pictures.mean(axis=0)), atol=1e-5)
    cosine = pictures @ text.T
    for at, prompt in enumerate(("a red car", "a dog")):
        (score,) = clip.score([view], [prompt])
        assert score.score == pytest.approx((2.5 * np.maximum(cosine[:, at], 0)).mean(), abs=1e-4)
        assert score.cosine == pytest.approx(cosine[:, at].mean(), abs=1e-4)
        assert clip.grade(view, prompt) == score.score
    assert clip.grade(view) is None
    assert clip.grade(ClipView("none", [], [], [], 0, 1), "a dog") is None
    with pytest.raises(ValueError, match="1 views but 2 prompts"):
        clip.score([view], ["a", "b"])


@with_open_clip
def test_the_clamp_comes_before_the_mean(load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    clip = load("clip")
    monkeypatch.setattr(clip, "embed", lambda views: [np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)])
    monkeypatch.setattr(clip, "texts", lambda texts: np.array([[0.4, 0.9]], np.float32))
    (score,) = clip.score([view_of([np.zeros((4, 4, 3), np.uint8)])], ["a"])
    assert (score.score, score.cosine) == (pytest.approx(0.5), pytest.approx(0.0))


@with_open_clip
def test_tags_of_a_dimension_are_weighed_against_each_other(load: Callable[..., Any], frames: list[Rgb]) -> None:
    (values,) = load("clip").measure([view_of(frames)])
    for dimension, count in (("subject", 3), ("setting", 2), ("style", 2)):
        tags = [tag for tag in values["clip_tags"] if tag["dimension"] == dimension]
        assert len(tags) == count
        assert sum(tag["probability"] for tag in tags) == pytest.approx(1.0, abs=1e-5)
        assert [tag["probability"] for tag in tags] == sorted((tag["probability"] for tag in tags), reverse=True)


@with_open_clip
def test_siglip_has_a_sigmoid_a_pair_and_no_clip_score(load: Callable[..., Any], frames: list[Rgb]) -> None:
    siglip, view = load("siglip"), view_of(frames)
    (score,) = siglip.score([view], ["a dog"])
    cosine = siglip.embed([view])[0] @ siglip.texts(["a dog"])[0]
    assert score.score == pytest.approx((1 / (1 + np.exp(-(np.exp(2.3) * cosine - 10.0)))).mean(), rel=1e-3)
    assert all(tag["probability"] < 0.1 for tag in siglip.measure([view])[0]["siglip_tags"])


@with_open_clip
def test_a_siglip_is_not_taken_for_a_clip_nor_a_clip_for_a_siglip(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints
) -> None:
    with pytest.raises(ConfigError, match="is a SigLIP: give it to the role 'siglip'"):
        load("clip", clip=checkpoints["siglip"])
    with pytest.raises(ConfigError, match="is a CLIP: give it to the role 'clip'"):
        load("siglip", siglip=checkpoints["clip"])
    with pytest.raises(ConfigError, match="is a SigLIP"):
        load("aesthetic", clip=checkpoints["siglip"])


@with_open_clip
def test_clip_and_the_aesthetic_head_share_one_model(load: Callable[..., Any], frames: list[Rgb]) -> None:
    clip, aesthetic = load("clip"), load("aesthetic")
    assert clip._clip is aesthetic._clip
    (values,) = aesthetic.measure([view_of(frames)])
    head = clip.embed([view_of(frames)])[0].astype(np.float64) @ aesthetic._weight + aesthetic._bias
    assert values["aesthetic_marks"] == pytest.approx(head.tolist())
    assert values["aesthetic_mean"] == pytest.approx(head.mean())
    assert aesthetic.grade(view_of(frames)) == pytest.approx(min(1.0, max(0.0, head.mean() / 10)))


def test_a_chain_of_linear_layers_is_one_and_anything_else_is_no_head(tmp_path: Path) -> None:
    first, last = torch.nn.Linear(5, 3), torch.nn.Linear(3, 1)
    tensors = {"layers.0.weight": first.weight, "layers.0.bias": first.bias}
    tensors |= {"layers.10.weight": last.weight, "layers.10.bias": last.bias}
    detached = {name: tensor.detach() for name, tensor in tensors.items()}
    weight, bias = linear_head(tmp_path, detached)
    given = torch.randn(5)
    assert given.double().numpy() @ weight + bias == pytest.approx(last(first(given)).item(), abs=1e-5)
    alone, _ = linear_head(tmp_path, {"weight": torch.ones(1, 4), "bias": torch.zeros(1)})
    assert alone.tolist() == [1.0] * 4
    with pytest.raises(ConfigError, match="must give one number"):
        linear_head(tmp_path, {"weight": torch.ones(2, 4), "bias": torch.zeros(2)})
    with pytest.raises(ConfigError, match="no head of linear layers"):
        linear_head(tmp_path, {"a.weight": torch.ones(2, 4), "a.running_mean": torch.zeros(2)})
    with pytest.raises(ConfigError, match="no head of linear layers"):
        linear_head(tmp_path, {**detached, "layers.4.weight": torch.ones(7, 9), "layers.4.bias": torch.ones(7)})


@with_open_clip
def test_a_head_for_another_clip_is_refused(load: Callable[..., Any], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(1, 768), "bias": torch.ones(1)}, tmp_path / "l14.safetensors")
    with pytest.raises(ConfigError, match="takes 768 numbers and the model of 'clip', clip, gives 16"):
        load("aesthetic", aesthetic=tmp_path / "l14.safetensors")


# The vocabulary


def test_the_packaged_vocabulary_is_one_and_a_wrong_one_names_its_fault(tmp_path: Path) -> None:
    packaged = vocabulary(experts.weights.resolve("vocabulary", "standard").path)
    assert {"subject", "setting", "action", "style", "light"} == set(packaged)
    assert all(len(phrases) > 5 for phrases in packaged.values())
    path = tmp_path / "mine.yaml"
    for text, said in (
        ("place: [a, b]", "'place' is no dimension"),
        ("subject: [a dog]", "subject: give a list of at least two"),
        ("- a dog", "maps dimensions to lists"),
        ("subject: [a, b", "no vocabulary"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{said}"):
            vocabulary(path)


# The detector


@pytest.mark.parametrize(
    ("label", "bare", "many"),
    [
        ("A dog", "dog", "dogs"),
        ("a group of people", "group of people", "groups of people"),
        ("an insect", "insect", "insects"),
        ("A person.", "person", "people"),
        ("bus", "bus", "buses"),
        ("a toy", "toy", "toys"),
        ("city", "city", "cities"),
        ("some food", "food", "food"),
        ("street food", "street food", "street food"),
    ],
)
def test_labels_are_asked_for_bare_and_counted_in_the_plural(label: str, bare: str, many: str) -> None:
    assert plain(label) == bare
    assert plural(bare) == many


def test_of_boxes_of_one_label_that_overlap_the_best_stays() -> None:
    corners = np.array([[0, 0, 0.5, 0.5], [0.01, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0.6, 0.6, 1.2, 0.9]], np.float32)
    scores = np.array([[0.5, 0.1], [0.9, 0.1], [0.1, 0.6], [0.4, 0.2]], np.float32)
    found = _boxes(scores, corners, ("dog", "cat"), 0.3)
    assert [(box.label, box.score) for box in found] == [
        ("dog", pytest.approx(0.9)),
        ("cat", pytest.approx(0.6)),
        ("dog", pytest.approx(0.4)),
    ]
    assert found[2].box == pytest.approx((0.6, 0.6, 0.4, 0.3))
    assert _boxes(scores, corners, ("dog", "cat"), 0.95) == []


def test_counts_are_medians_with_their_agreement_and_are_stated_from_there(load: Callable[..., Any]) -> None:
    view = view_of([np.zeros((8, 8, 3), np.uint8)] * 3, first=100)
    dog, cat = Box("dog", 0.9, (0.0, 0.0, 0.5, 0.5)), Box("cat", 0.8, (0.5, 0.5, 0.5, 0.5))
    values = _columns(view, [[dog, dog, cat], [dog, dog], [dog, cat]])
    assert values["detected_labels"] == ["dog", "cat"]
    dogs, cats = values["detected_counts"]
    assert (dogs["label"], dogs["count"], dogs["agreement"]) == ("dog", 2, pytest.approx(2 / 3))
    assert (cats["label"], cats["count"], cats["agreement"]) == ("cat", 1, pytest.approx(2 / 3))
    assert values["detected_area_fraction"] == pytest.approx((0.5 + 0.25 + 0.5) / 3)
    assert {row["frame"] for row in values["detections"]} == {100, 110, 120}
    said = load("detector").state(view, values)
    assert [(s.dimension, s.value, s.confidence) for s in said] == [
        ("count", "two dogs", 0.6),
        ("subject", "a cat", 0.533),
    ]


def test_grounding_dino_scores_a_label_by_its_own_tokens(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints, frames: list[Rgb]
) -> None:
    from transformers import AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoTokenizer

    folder = checkpoints["detector"]
    network = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    pictures = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=frames[:1], return_tensors="pt")
    text = AutoTokenizer.from_pretrained(folder)("dog. red car.", return_tensors="pt")
    assert text["input_ids"].shape[1] == 7  # [CLS] dog . red car . [SEP]
    with torch.inference_mode():
        logits = network(**pictures, **text).logits[0].sigmoid().numpy()
    (score, corners), *_ = load("detector")._network.look(frames[:1], ("dog", "red car"))
    assert np.allclose(score[:, 0], logits[:, 1], atol=1e-5)
    assert np.allclose(score[:, 1], logits[:, 3:5].max(axis=1), atol=1e-5)
    assert corners.shape == (8, 4)


def test_what_to_look_for_can_be_said(load: Callable[..., Any], frames: list[Rgb]) -> None:
    detector = load("detector")
    assert {box.label for boxes in detector.detect(frames, ["a person"]) for box in boxes} <= {"person"}
    assert detector.detect(frames, []) == [[], [], []]
    with pytest.raises(ConfigError, match=r"its subjects take \d+ tokens and the detector reads 250"):
        detector.detect(frames, [f"dog {'cat ' * at}" for at in range(1, 24)])


def test_owlv2_serves_too_and_its_boxes_are_shares_of_the_picture_not_of_the_square(
    load: Callable[..., Any], tmp_path: Path, frames: list[Rgb]
) -> None:
    tiny.owlv2(tmp_path)
    detector = load("detector", detector=tmp_path)
    (values,) = detector.measure([view_of(frames)])
    assert set(values) == {column.name for column in detector.columns}
    raw = detector._network.look([frames[0]], ("dog", "cat"))[0]
    wide = detector._network.look([np.pad(frames[0], ((0, 24), (0, 0), (0, 0)), constant_values=0)], ("dog", "cat"))[0]
    assert np.allclose(raw[0], wide[0], atol=1e-5)  # padded by us or by it, the square is the same
    assert np.allclose(raw[1], wide[1] * np.array([1, 96 / 72, 1, 96 / 72]), atol=1e-5)


@with_torchvision
def test_owlv2_is_prepared_as_its_own_processor_does(tmp_path: Path, frames: list[Rgb]) -> None:
    ready()
    from transformers import Owlv2ImageProcessor

    tiny.owlv2(tmp_path)
    smooth = cv2.GaussianBlur(frames[0], (0, 0), 6)
    theirs = Owlv2ImageProcessor.from_pretrained(tmp_path)(images=[smooth], return_tensors="pt")["pixel_values"]
    ours = normalised([_square(smooth)], picture_spec("detector", tmp_path), tiny.SIDE, tiny.SIDE)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < 0.02


def test_a_model_of_another_family_is_refused_with_those_that_serve(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints
) -> None:
    with pytest.raises(ConfigError, match=r"is 'videomae'; it may be grounding-dino"):
        load("detector", detector=checkpoints["video_embedding"])
    with pytest.raises(ConfigError, match=r"is 'depth_anything'; it may be videomae"):
        load("video_embedding", video_embedding=checkpoints["depth"])


# Depth


def test_nearness_does_not_change_with_scale_and_shift(
    load: Callable[..., Any], frames: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, view = load("depth"), view_of(frames)
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (72, 1))
    rows = []
    for scale, shift in ((1.0, 0.0), (37.0, 5.0)):
        monkeypatch.setattr(depth, "inverse_depth", lambda found, a=scale, b=shift: [a * ramp + b for _ in found])
        rows.append(depth.measure([view])[0])
        drawn = depth.control(view)
        assert (drawn.kind, drawn.maps.min(), drawn.maps.max()) == ("depth", 0.0, 1.0)
    assert rows[0] == pytest.approx(rows[1], abs=1e-4)
    assert rows[0]["nearness_mean"] == pytest.approx(0.5, abs=0.01)
    assert rows[0]["near_area_fraction"] == pytest.approx(1 / 3, abs=0.02)
    assert rows[0]["centre_nearness"] == pytest.approx(0.0, abs=0.01)


def test_metric_depth_is_turned_around(load: Callable[..., Any], tmp_path: Path, frames: list[Rgb]) -> None:
    tiny.depth_anything(tmp_path, kind="metric")
    metric = load("depth", depth=tmp_path)
    found = metric.inverse_depth(frames[:1])[0]
    assert found.shape == (72, 96)
    assert (found >= 1 / 20 - 1e-3).all()  # nothing is farther than its max_depth, 20 m


# Segmentation


@with_torchvision
def test_masks_are_those_of_the_librarys_own_processor(
    load: Callable[..., Any], checkpoints: tiny.Checkpoints, frames: list[Rgb]
) -> None:
    ready()
    from transformers import Sam2ImageProcessor, Sam2Model

    side = 128
    pictures = Sam2ImageProcessor(size={"height": side, "width": side}, mask_size={"height": 32, "width": 32})
    with torch.inference_mode():
        out = Sam2Model.from_pretrained(checkpoints["segmentation"]).eval()(
            pixel_values=pictures(images=frames[:1], return_tensors="pt")["pixel_values"],
            input_points=torch.tensor([[[[0.25 * side, 0.5 * side]]]]),
            input_labels=torch.ones(1, 1, 1, dtype=torch.long),
        )
        best = int(out.iou_scores[0, 0].argmax())
        theirs = pictures.post_process_masks(out.pred_masks, [[72, 96]])[0][0, best].numpy()
    mask, confidence = load("segmentation").segment(frames[:1], [(0.25, 0.5)])[0]
    assert confidence == pytest.approx(float(out.iou_scores[0, 0, best].clamp(0, 1)), abs=0.01)
    assert (mask == theirs).mean() > 0.95


def test_a_click_gives_a_mask_that_is_carried_through_the_clip(load: Callable[..., Any], frames: list[Rgb]) -> None:
    segmentation, view = load("segmentation"), view_of([frames[0]] * 3)
    drawn = segmentation.control_from_click(view, (0.3, 0.3), frame=1)
    assert drawn.maps.shape == (3, 72, 96)
    assert np.array_equal(drawn.maps[1], segmentation.mask_from_click(frames[0], (0.3, 0.3)))
    assert set(np.unique(drawn.maps)) <= {0, 255}
    with pytest.raises(ValueError, match="outside the picture"):
        segmentation.mask_from_click(frames[0], (1.0, 0.3))
    with pytest.raises(IndexError, match="frame 3 of a view of 3"):
        segmentation.control_from_click(view, (0.3, 0.3), frame=3)
    with pytest.raises(ValueError, match="at least one point"):
        segmentation.segment(frames, [])


# torchvision beside a CPU-only torch


def test_the_cure_leaves_models_of_transformers_importable_whether_torchvision_is_there_or_not() -> None:
    import subprocess
    import sys

    code = (
        "from experts.torchvision import have_torchvision, ready; ready(); ready(); "
        "from transformers import BertModel; import sys; "
        "assert have_torchvision() == ('torchvision' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_asking_whether_torchvision_is_there_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import experts, sys; experts.names('standard'); experts.resources(['clip'], 'standard'); "
        "assert not {'torch', 'torchvision', 'transformers', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_standard_role_tells_what_it_would_fetch() -> None:
    roles = experts.weights.load_profile("standard").roles
    for role, source in roles.items():
        if source.hub and role not in ("aesthetic", "language"):
            assert source.fetch, role
            assert not any(pattern.endswith((".bin", ".pt", ".pth")) for pattern in source.fetch)
    assert json.dumps({role: source.model for role, source in roles.items()})
