"""The OpenAI-compatible client against a server that misbehaves, over real HTTP."""

from __future__ import annotations

import socket

import pytest

from captioning import Checker, Reply, Request, caption_many, make_backend
from captioning.backends import openai as client
from captioning.prompts import SCHEMA
from captioning.reply import parse_reply
from media.errors import BackendError, ConfigError
from tests.captioning.servers import GOOD, Answer, serve
from tests.captioning.sets import load, parse

CAT = (parse("tags | subject | animal | looks like | cat | 0.8"), parse("light | light | light | is | warm | 0.9"))
REQUEST = Request("v:0-48", CAT)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)


def fuse(url: str, n: int = 1, **settings) -> list:
    backend = make_backend("openai", base_url=url, **{"retries": 2, "timeout_s": 5.0, **settings})
    try:
        return backend.fuse([Request(f"v:{i}-48", CAT) for i in range(n)])
    finally:
        backend.close()


def test_a_good_answer():
    with serve(lambda n, body: Answer()) as stub:
        (reply,) = fuse(stub.url)
    assert reply == Reply("v:0-48", "A cat is visible.", "A cat is visible. The light is warm.", GOOD, 50, 20)
    (asked,) = stub.seen
    assert asked["model"] == "stub-model"
    assert asked["temperature"] == 0.0
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "- a cat is visible" in asked["messages"][-1]["content"]


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=500),
        Answer(status=503),
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(body=b"<html>oops"),
        Answer(body=b"{}"),
        Answer(body=b'{"choices": []}'),
        Answer(hang_up=True),
        Answer(content="I would rather not."),
        Answer(content='{"short": "A cat."'),
        Answer(content=GOOD[:40], finish_reason="length"),
        Answer(content='{"short": "A cat.", "dense": 3}'),
        Answer(content=""),
    ],
    ids=lambda a: f"{a.status}-{a.finish_reason}-{len(a.content)}",
)
def test_a_failure_that_passes_is_tried_again(bad):
    with serve(lambda n, body: bad if n == 0 else Answer()) as stub:
        (reply,) = fuse(stub.url)
    assert isinstance(reply, Reply)
    assert len(stub.seen) == 2


def test_a_failure_that_stays_is_one_error_after_bounded_tries():
    with serve(lambda n, body: Answer(status=500)) as stub:
        (error,) = fuse(stub.url, retries=2)
    assert isinstance(error, BackendError)
    assert str(error) == f"{stub.url}: HTTP 500 (after 3 tries)"
    assert len(stub.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_mistake_of_ours_is_not_tried_again(status):
    with serve(lambda n, body: Answer(status=status, body=b"no such model")) as stub:
        (error,) = fuse(stub.url)
    assert f"HTTP {status}: no such model" in str(error)
    assert len(stub.seen) == 1


def test_a_refusal_by_content_filter_is_not_tried_again():
    with serve(lambda n, body: Answer(content="", finish_reason="content_filter")) as stub:
        (error,) = fuse(stub.url)
    assert "content filter" in str(error)
    assert len(stub.seen) == 1


def test_a_silent_server_times_out():
    with serve(lambda n, body: Answer(wait_s=1.0)) as stub:
        (error,) = fuse(stub.url, timeout_s=0.1, retries=0)
    assert isinstance(error, BackendError)
    assert "timed out" in str(error)


def test_a_dripping_server_cannot_stretch_the_limit():
    """A byte every 20 ms would take many seconds, each well within a socket's own timeout."""
    with serve(lambda n, body: Answer(drip_s=0.02)) as stub:
        (error,) = fuse(stub.url, timeout_s=0.3, retries=0)
    assert isinstance(error, BackendError)
    assert "time" in str(error).lower()


def test_one_bad_answer_costs_one_caption_and_order_is_kept():
    sets = load()
    with serve(lambda n, body: Answer(status=400) if "tabby" in str(body["messages"][-1]) else Answer()) as stub:
        backend = make_backend("openai", base_url=stub.url, retries=0, concurrency=4)
        rows = caption_many([(s.row, s.statements) for s in sets], backend, Checker(), run_id="r")
        backend.close()
    assert [r["clip_id"] for r in rows] == [s.row["clip_id"] for s in sets]
    assert [r["clip_id"] for r in rows if r["error"]] == ["tabby:0-48"]
    assert all(r["model"] == "stub-model" for r in rows)


def test_requests_go_out_together_up_to_the_limit():
    with serve(lambda n, body: Answer(wait_s=0.05)) as stub:
        replies = fuse(stub.url, n=12, concurrency=4)
    assert all(isinstance(r, Reply) for r in replies)
    assert [r.clip_id for r in replies] == [f"v:{i}-48" for i in range(12)]
    assert 2 <= stub.most_at_once <= 4


def test_the_key_is_read_from_the_environment_and_sent(monkeypatch):
    monkeypatch.setenv("CAPTION_KEY", "s3cret")
    with serve(lambda n, body: Answer()) as stub:
        fuse(stub.url, api_key_env="CAPTION_KEY", model="mine")
    assert stub.headers[0]["authorization"] == "Bearer s3cret"
    assert stub.seen[0]["model"] == "mine"


def test_mistakes_name_the_field():
    with pytest.raises(ConfigError, match="base_url"):
        make_backend("openai", base_url="localhost:8000", model="m")
    with pytest.raises(ConfigError, match=r"api_key_env.*NO_SUCH_KEY"):
        make_backend("openai", api_key_env="NO_SUCH_KEY", model="m")


def test_no_server_is_one_clear_error():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(BackendError, match=rf"127\.0\.0\.1:{port}/v1.*after 2 tries"):
        make_backend("openai", base_url=f"http://127.0.0.1:{port}/v1", retries=1)


@pytest.mark.parametrize(
    ("raw", "short"),
    [
        ('{"short": "A.", "dense": "B."}', "A."),
        ('```json\n{"short": "A.", "dense": "B."}\n```', "A."),
        ('<think>hm {}</think> {"short": "A.", "dense": "B."}', "A."),
        ('Here it is: {"dense": "B.", "short": "A."} Enjoy!', "A."),
    ],
)
def test_replies_with_wrapping_are_read(raw, short):
    assert parse_reply(raw)[0] == short


@pytest.mark.parametrize(
    "raw",
    ["", "no", "[1]", "{}", '{"short": "", "dense": "B."}', '{"short": ["A."], "dense": "B."}', '{"short": "A'],
)
def test_replies_that_hold_no_caption_are_errors(raw):
    with pytest.raises(BackendError):
        parse_reply(raw)
