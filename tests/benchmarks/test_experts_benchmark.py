"""The benchmark of the experts: its clips are real and all different, its figures are those of one expert."""

from __future__ import annotations

import pytest

import experts as registry
from benchmarks import experts as benchmark
from benchmarks.experts import Timing, _accelerated, _figures, _resident_mb, _views, time_expert
from media.errors import MissingModelError


def test_no_picture_is_looked_at_twice() -> None:
    views = _views(3, 2)
    assert [len(view.frames) for view in views] == [3, 3, 3]
    assert all(view.frames[0].shape[0] in (360, 272) for view in views)
    assert all(view.end_frame - view.first_frame == 48 for view in views)
    pictures = {frame.tobytes() for view in (*views, *_views(2, 0)) for frame in view.frames}
    assert len(pictures) == 15


@pytest.mark.parametrize(("name", "pictures"), [("colour", 6), ("motion", 2)])
def test_an_expert_is_timed_by_what_it_looks_at(name: str, pictures: int) -> None:
    timing = time_expert(name, "embedded", 2)
    assert timing.pictures == pictures
    assert timing.seconds > 0
    assert timing.device == "cpu"
    assert timing.peak_mb >= 0


def test_an_expert_that_fails_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    from experts.colour import Colour

    monkeypatch.setattr(Colour, "measure", lambda self, views: 1 / 0)
    with pytest.raises(SystemExit, match="expert colour failed: ZeroDivisionError"):
        time_expert("colour", "embedded", 1)


def test_figures_have_their_units_in_their_names() -> None:
    figures = _figures("tags", Timing("cpu", 1.234, 2.0, 100, 321.4))
    assert figures == {
        "tags_device": "cpu",
        "tags_frames_per_s": 50.0,
        "tags_ms_per_keyframe": 20.0,
        "tags_load_s": 1.23,
        "tags_peak_mb": 321,
    }
    assert _figures("clip", Timing("cuda", 1, 1, 1, 1, 900.0))["clip_gpu_peak_mb"] == 900


def test_a_machine_without_an_accelerator_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    assert _accelerated(1, "standard") == {"accelerator": None}


def test_on_an_accelerator_what_is_there_is_timed_and_what_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def model_of(name: str, profile: str) -> None:
        if name != "depth":
            raise MissingModelError(name)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an accelerator")
    monkeypatch.setattr(registry, "model_of", model_of)
    monkeypatch.setattr(benchmark, "_alone", lambda name, profile, clips: Timing("cuda", 1, 1, clips, 1, 900.0))
    figures = _accelerated(4, "standard")
    assert figures["accelerator"] == "an accelerator"
    assert (figures["depth_frames_per_s"], figures["depth_device"]) == (4.0, "cuda")
    assert {"clip", "captioner"} <= set(figures["accelerator_models_missing"].split(", "))
    assert not [name for name in figures if name.startswith("clip_")]


def test_the_peak_of_memory_is_at_least_what_there_is() -> None:
    now = _resident_mb("VmRSS")
    assert now > 10
    assert _resident_mb("VmHWM") >= now - 1  # the kernel counts pages of threads in batches
