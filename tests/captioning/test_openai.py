"""The OpenAI-compatible client against a server that misbehaves, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from email.utils import formatdate

import pytest

from captioning import Checker, Reply, caption_many, make_backend
from captioning.backends import openai as client
from captioning.prompts import SCHEMA_BY_KEY
from media.errors import BackendError
from tests.captioning.clients import CAT, HALF, REQUEST, TEXTS, fuse, made, requests
from tests.captioning.servers import Answer, good, hostile, key_of, own, serve
from tests.captioning.sets import load


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)


def test_a_good_answer():
    with serve(lambda n, body: Answer()) as stub:
        (reply,) = fuse(stub.url)
    (asked,) = stub.seen
    medium = "A cat is visible. The light is warm."
    assert reply == Reply("v:0-48", "A cat is visible.", medium, good(asked), 50, 20, medium=medium, tries=1)
    assert asked["model"] == "stub-model"
    assert (asked["temperature"], asked["seed"], asked["max_tokens"]) == (0.0, 0, 768)
    form = asked["response_format"]["json_schema"]
    assert (form["schema"], form["strict"]) == (SCHEMA_BY_KEY, True)
    assert asked["messages"][-1]["content"].splitlines()[0] == f"id: {REQUEST.key}"
    assert "- a cat is visible" in asked["messages"][-1]["content"]


BAD = {
    "500": Answer(status=500),
    "503": Answer(status=503),
    "429": Answer(status=429, headers={"Retry-After": "0"}),
    "a date": Answer(status=429, headers={"Retry-After": formatdate(0, usegmt=True)}),
    "no wait": Answer(status=429, headers={"Retry-After": "soon"}),
    "html": Answer(body=b"<html>oops"),
    "empty object": Answer(body=b"{}"),
    "a list": Answer(body=b"[]"),
    "no choice": Answer(body=b'{"choices": []}'),
    "no text": Answer(body=b'{"choices": [{"message": {"content": [1]}}]}'),
    "deep": Answer(body=b"[" * 100_000),
    "long": Answer(body=b" " * (5 << 20)),
    "hang up": Answer(hang_up=True),
    "half a body": Answer(half=True),
    "prose": Answer("I would rather not."),
    "half a JSON": Answer(HALF % REQUEST.key),
    "cut": Answer(HALF % REQUEST.key, finish_reason="length"),
    "no id": Answer('{"short": "A.", "medium": "A.", "dense": "A."}'),
    "another's": Answer('{"id": "00000000", "short": "A.", "medium": "A.", "dense": "A."}'),
    "a number": Answer(TEXTS.replace('"B."', "3")),
    "half a character": Answer(TEXTS.replace("B.", "\\ud83d")),
    "half a character of its own": Answer("\ud83d"),
    "nothing": Answer(""),
    "brackets without end": Answer('{"id": ' + "[" * 100_000),
    "digits without end": Answer('{"short": ' + "1" * 5_000),
}


@pytest.mark.parametrize("what", BAD)
def test_a_failure_that_passes_is_tried_again(what):
    with serve(lambda n, body: BAD[what] if n == 0 else Answer()) as stub:
        (reply,) = fuse(stub.url)
    assert isinstance(reply, Reply)
    assert reply.tries == 2
    assert len(stub.seen) == 2


def test_a_failure_that_stays_is_one_error_after_bounded_tries():
    with serve(lambda n, body: Answer(status=500)) as stub:
        (error,) = fuse(stub.url, retries=2)
    assert isinstance(error, BackendError)
    assert str(error) == f"{stub.url}: HTTP 500 (after 3 tries)"
    assert len(stub.seen) == 3


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422, 501])
def test_a_mistake_of_ours_is_not_tried_again(status):
    with serve(lambda n, body: Answer(status=status, body=b"no such model")) as stub:
        (error,) = fuse(stub.url)
    assert f"{stub.url}: HTTP {status}: no such model" in str(error)
    assert len(stub.seen) == 1


def test_a_refusal_by_content_filter_is_not_tried_again():
    with serve(lambda n, body: Answer("", finish_reason="content_filter")) as stub:
        (error,) = fuse(stub.url)
    assert "content filter" in str(error)
    assert len(stub.seen) == 1


def test_an_answer_of_no_use_is_asked_for_again_by_another_seed_and_all_tokens_count():
    with serve(lambda n, body: Answer("no") if n < 2 else Answer()) as stub:
        (reply,) = fuse(stub.url, seed=5)
    assert (reply.tokens_in, reply.tokens_out, reply.tries) == (150, 60, 3)
    assert [body["seed"] for body in stub.seen] == [5, 6, 7]
    assert stub.seen[0]["temperature"] == 0.0
    assert stub.seen[1]["temperature"] > 0  # a greedy second try would say the same again


def test_a_server_that_counts_no_tokens_is_believed():
    usages = [None, {"prompt_tokens": "many"}, {"completion_tokens": 7}]
    with serve(lambda n, body: Answer(None if n == 2 else "no", usage=usages[n])) as stub:
        (reply,) = fuse(stub.url)
    assert (reply.tokens_in, reply.tokens_out) == (None, 7)


@pytest.mark.parametrize(("context", "room"), [(None, 200), (4096, 200), (180, 130)])
def test_one_cut_short_gets_twice_the_room_within_the_context(context, room):
    def answer(n, body):
        return Answer(HALF % key_of(body), finish_reason="length") if n < 2 else Answer()

    with serve(answer, [{"id": "m", "max_model_len": context}]) as stub:
        fuse(stub.url, max_tokens=100)
    assert [body["max_tokens"] for body in stub.seen] == [100, room, room]


def test_the_error_of_one_cut_short_says_how():
    with serve(lambda n, body: Answer(HALF % key_of(body), finish_reason="length")) as stub:
        (error,) = fuse(stub.url, max_tokens=100, retries=0)
    assert str(error) == f"{stub.url}: cut short at 100 tokens (after one try)"


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
    assert "timed out after 0.3 s" in str(error)


def test_one_bad_answer_costs_one_caption_and_order_is_kept():
    sets = load()
    with serve(lambda n, body: Answer(status=400) if "tabby" in str(body["messages"][-1]) else Answer()) as stub:
        backend = make_backend("openai", base_url=stub.url, retries=0, concurrency=4)
        rows = caption_many([(s.row, s.statements) for s in sets], backend, Checker(), run_id="r")
        backend.close()
    assert [r["clip_id"] for r in rows] == [s.row["clip_id"] for s in sets]
    assert [r["clip_id"] for r in rows if r["error"]] == ["tabby:0-48"]
    assert all(r["model"] == "stub-model" for r in rows)


# Its pace


def test_requests_go_out_together_up_to_the_limit():
    with serve(lambda n, body: Answer(wait_s=0.05)) as stub:
        replies = fuse(stub.url, n=12, concurrency=4)
    assert all(isinstance(r, Reply) for r in replies)
    assert [r.clip_id for r in replies] == [f"v:{i}-48" for i in range(12)]
    assert 2 <= stub.most_at_once <= 4


def test_it_starts_with_few_and_widens_while_all_goes_well():
    with serve(lambda n, body: Answer(wait_s=0.05)) as stub:
        backend = made(stub.url, concurrency=64)
        backend.fuse(requests(8))
        assert stub.most_at_once <= 8
        backend.fuse(requests(60))
        backend.close()
    assert 16 < stub.most_at_once <= 64


def test_it_narrows_to_what_the_server_bears():
    """A server that bears 6 at once: most requests find room in the end, and few are sent in vain."""
    lock, inside = threading.Lock(), [0]

    def answer(n, body):
        with lock:
            inside[0] += 1
            full = inside[0] > 6
        time.sleep(0.02)
        with lock:
            inside[0] -= 1
        return Answer(status=429) if full else Answer()

    with serve(answer) as stub:
        replies = fuse(stub.url, n=200, concurrency=64, retries=10)
    assert all(isinstance(r, Reply) for r in replies)
    assert len(stub.seen) < 300


def test_nobody_sends_before_the_server_wants_them_to():
    first = threading.Event()

    def answer(n, body):
        if n == 0:
            first.set()
            return Answer(status=429, headers={"Retry-After": "0.4"})
        assert first.is_set()
        return Answer(wait_s=0.1)

    with serve(answer) as stub:
        replies = fuse(stub.url, n=30, concurrency=8)
    assert all(isinstance(r, Reply) for r in replies)
    later = [t for t in stub.times[1:] if t - stub.times[0] > 0.15]
    assert len(later) >= 22
    assert min(later) - stub.times[0] >= 0.38


def test_a_server_that_wants_to_be_left_alone_for_long_is():
    with serve(lambda n, body: Answer(status=429, headers={"Retry-After": "7200"})) as stub:
        began = time.monotonic()
        backend = made(stub.url, concurrency=4)
        errors = backend.fuse(requests(50)) + backend.fuse(requests(50))
        backend.close()
    assert time.monotonic() - began < 5
    assert len(stub.seen) <= 4
    assert all("left alone for 7200 s" in str(e) or "HTTP 429" in str(e) for e in errors)


def test_a_server_that_dies_for_good_costs_few_tries_and_all_say_so():
    with serve(lambda n, body: Answer(own(body)) if n < 20 else Answer(die_s=30.0)) as stub:
        backend = made(stub.url, concurrency=8, retries=2)
        began = time.monotonic()
        replies = backend.fuse(requests(300))
        took = time.monotonic() - began
        again = backend.fuse(requests(100))
        backend.close()
    assert took < 10
    told = [str(r) for r in replies if isinstance(r, BackendError)]
    assert 10 <= len(replies) - len(told) <= 20  # those under way die with it
    assert sum(text.startswith(f"server died: {stub.url}: ") for text in told) >= 260
    assert all(str(r).startswith(("server died: ", stub.url)) for r in again)
    assert stub.deaths == 1


def test_a_server_that_comes_back_loses_nothing(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.1)
    with serve(lambda n, body: Answer(die_s=0.3) if n == 40 else Answer(own(body))) as stub:
        replies = fuse(stub.url, n=100, concurrency=8, retries=5)
    assert stub.deaths == 1
    assert [r.dense for r in replies] == [f"Dense of {r.key}." for r in requests(100)]


# Who answered


@pytest.mark.parametrize("seed", range(4))
def test_in_any_chaos_each_request_gets_its_own_caption_or_its_error(monkeypatch, seed):
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.02)
    policy = hostile(seed, silence_s=0.7)
    asked = requests(200)
    with serve(policy) as stub:
        replies = fuse(stub.url, n=200, retries=6, timeout_s=0.3, concurrency=32)
    for request, reply in zip(asked, replies, strict=True):
        if isinstance(reply, Reply):
            assert (reply.clip_id, reply.short) == (request.clip_id, f"Short of {request.key}.")
            assert (reply.medium, reply.dense) == (f"Medium of {request.key}.", f"Dense of {request.key}.")
            assert 1 <= reply.tries <= 7
        else:
            assert str(reply)
    assert sum(isinstance(r, Reply) for r in replies) >= 190
    tries = Counter(key_of(body) for body in stub.seen)
    assert max(tries.values()) <= 7
    assert set(tries) == {r.key for r in asked}
    assert sum(policy.did.values()) > 40
    assert sum(count > 0 for count in policy.did.values()) > 10


def test_answers_that_come_in_another_order_find_their_requests():
    with serve(lambda n, body: Answer(own(body), wait_s=0.2 - 0.02 * (n % 8))) as stub:
        replies = fuse(stub.url, n=16, concurrency=8)
    assert [r.dense for r in replies] == [f"Dense of {r.key}." for r in requests(16)]
    assert stub.most_at_once > 1


def test_the_id_ties_an_answer_to_the_clip_its_keyframes_and_its_statements():
    keys = {
        REQUEST.key,
        replace(REQUEST, clip_id="v:48-96").key,
        replace(REQUEST, keyframes_hash="0" * 16).key,
        replace(REQUEST, statements=CAT[:1]).key,
    }
    assert len(keys) == 4
