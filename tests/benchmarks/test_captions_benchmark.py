"""The benchmark of captions: its stub answers by id and holds what it is told to, its figures are what they say."""

from __future__ import annotations

import json
import urllib.request

import pytest

from benchmarks import captions as benchmark
from benchmarks.captions import client_overhead, fusing, openai_overhead, stub_server
from captioning import Reply, make_backend


def test_the_stub_answers_each_by_its_own_id_and_counts() -> None:
    requests = benchmark._requests(30)
    with stub_server(0.05) as (url, told):
        with urllib.request.urlopen(f"{url}/models") as reply:
            assert json.loads(reply.read()) == {"data": [{"id": "stub"}]}
        backend = make_backend("openai", base_url=url)
        replies = backend.fuse(requests)
        backend.close()
        first, second = told(), told()
    assert all(isinstance(r, Reply) and r.clip_id == q.clip_id for r, q in zip(replies, requests, strict=True))
    assert 8 <= first["most"] <= 30
    assert second["most"] == 0
    assert 0 < first["cpu_s"] < 5


def test_the_requests_are_the_labelled_sets_each_with_an_id_of_its_own() -> None:
    requests = benchmark._requests(300)
    assert len({r.key for r in requests}) == 300
    assert len({r.statements for r in requests}) >= 20


def test_the_client_costs_less_than_two_milliseconds_a_caption() -> None:
    """The bar of the whole benchmark, on a smaller job; CPU time, so that a busy machine does not fail it."""
    figures = client_overhead(600, at_once=200, held_s=0.1)
    assert figures["client_captions"] == 600
    assert 0 < figures["client_overhead_ms"] < 2
    assert figures["client_wall_ms"] > 0
    assert 100 <= figures["client_most_in_flight"] <= 200
    assert 0 < figures["client_server_cpu_ms"] < 2


def test_a_caption_that_failed_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captioning.backends.openai.OpenAIFuser.fuse", lambda self, requests: [None] * len(requests))
    with pytest.raises(SystemExit, match="20 of 20 captions failed"):
        client_overhead(20, at_once=2, held_s=0.0)


def test_a_backend_is_told_by_rates_tokens_and_outcomes() -> None:
    figures = fusing("template", {"backend": "template"}, 3)
    assert {k.removeprefix("template_") for k in figures} == {
        "captions", "captions_per_s", "cpu_s_per_caption", "tokens_per_caption", "share_ok", "share_repaired",
        "share_template", "errors",
    }  # fmt: skip
    assert figures["template_captions"] == 3
    assert figures["template_share_template"] == 1.0
    assert figures["template_tokens_per_caption"] is None
    assert figures["template_captions_per_s"] > 0


def test_shares_are_of_all_rows_and_tokens_of_those_that_have_some() -> None:
    rows = [
        {"outcome": "ok", "tokens_out": 10, "error": None},
        {"outcome": "ok", "tokens_out": 20, "error": None},
        {"outcome": "repaired", "tokens_out": 60, "error": None},
        {"outcome": "template", "tokens_out": None, "error": "HTTP 500"},
    ]
    assert benchmark._shares(rows, 2.0, 1.0) == {
        "captions": 4,
        "captions_per_s": 2.0,
        "cpu_s_per_caption": 0.25,
        "tokens_per_caption": 30.0,
        "share_ok": 0.5,
        "share_repaired": 0.25,
        "share_template": 0.25,
        "errors": 1,
    }


def test_what_is_not_here_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUSHES_CAPTION_SERVER", "RUSHES_CAPTION_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(benchmark, "client_overhead", lambda n: {"client_overhead_ms": n})
    monkeypatch.setattr(benchmark, "fusing", lambda name, settings, sets: {f"{name}_captions": sets})
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    figures = benchmark.captions(True)
    assert figures["client_overhead_ms"] == 4000
    assert figures["embedded_captions"] == 3
    assert figures["transformers_captions"] is figures["server_captions"] is None
    assert openai_overhead(10) == {"openai_package": None, "openai_package_overhead_ms": None}
    monkeypatch.setenv("RUSHES_CAPTION_SERVER", "http://host:8000/v1")
    assert benchmark.captions(False)["server_captions"] is None  # all sets
