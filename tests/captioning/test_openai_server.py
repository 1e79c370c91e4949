"""The OpenAI-compatible client: which server and model it speaks to, its life, and what it makes of replies."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time

import pytest

from captioning import Reply, make_backend
from captioning.asking import Question
from captioning.backends import openai as client
from captioning.prompts import CHINESE
from captioning.reply import parse_reply
from media.errors import BackendError, ConfigError
from tests.captioning.clients import REQUEST, fuse, made, requests, unused_port
from tests.captioning.servers import Answer, own, serve


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.001)


# What the server is


def test_a_server_that_cannot_be_guided_is_asked_without_and_that_is_remembered():
    def answer(n, body):
        if "response_format" in body:
            return Answer(status=400, body=b'{"error": "response_format: unknown field"}')
        return Answer()

    with serve(answer) as stub:
        backend = made(stub.url, concurrency=1)
        assert backend.guided
        replies = backend.fuse(requests(3))
        assert not backend.guided
        backend.close()
    assert all(isinstance(r, Reply) and r.tries == 1 for r in replies)
    assert ["response_format" in body for body in stub.seen] == [True, False, False, False]


@pytest.mark.parametrize(
    ("models", "model", "served", "name"),
    [
        ([{"id": "a"}, {"id": "b"}], None, "a", "a"),
        ([{"id": "a"}, {"id": "b", "root": "Qwen/Qwen3-8B"}], "b", "b", "Qwen/Qwen3-8B"),
        ([{"id": "cap", "root": "/srv/models/Qwen3-8B", "max_model_len": 4096}], None, "cap", "Qwen3-8B"),
        ([{"id": "a"}], "alias", "alias", "alias"),
        ([{"id": "a", "root": None}, "odd"], "a", "a", "a"),
    ],
)
def test_the_model_is_called_by_its_name_there_and_known_by_its_own(models, model, served, name):
    with serve(lambda n, body: Answer(), models) as stub:
        backend = made(stub.url, model=model)
        backend.fuse([REQUEST])
        backend.close()
    assert stub.seen[0]["model"] == served
    assert (backend.model.name, backend.model.hash) == (name, "")


def test_a_server_without_models_needs_a_name():
    with serve(lambda n, body: Answer(), []) as stub, pytest.raises(BackendError, match="names no model; set `model`"):
        made(stub.url)


def test_a_named_model_needs_no_server_to_begin_with():
    backend = made(f"http://127.0.0.1:{unused_port()}/v1", model="m", retries=0)
    (error,) = backend.fuse([REQUEST])
    backend.close()
    assert "after one try" in str(error)


def test_the_key_is_read_from_the_environment_and_sent(monkeypatch):
    monkeypatch.setenv("CAPTION_KEY", "s3cret")
    with serve(lambda n, body: Answer()) as stub:
        fuse(stub.url, api_key_env="CAPTION_KEY", model="mine")
    assert stub.headers[0]["authorization"] == "Bearer s3cret"
    assert stub.seen[0]["model"] == "mine"


def test_a_password_in_the_address_is_sent_and_never_said():
    with serve(lambda n, body: Answer(status=500)) as stub:
        (error,) = fuse(stub.url.replace("://", "://me:s3cret@"), retries=0)
    assert stub.headers[0]["authorization"] == "Basic bWU6czNjcmV0"
    assert "s3cret" not in str(error)
    with pytest.raises(ConfigError) as mistake:
        made("ftp://me:s3cret@host/v1")
    assert "s3cret" not in str(mistake.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "http://", "http://host:port/v1", "http://[::1/v1", "http://h:99999"]
)
def test_an_address_that_cannot_be_names_the_field(url):
    with pytest.raises(ConfigError, match="base_url"):
        make_backend("openai", base_url=url, model="m")


def test_a_key_that_is_not_there_names_the_field():
    with pytest.raises(ConfigError, match=r"api_key_env.*NO_SUCH_KEY"):
        make_backend("openai", api_key_env="NO_SUCH_KEY", model="m")


def test_no_server_is_one_clear_error():
    port = unused_port()
    with pytest.raises(BackendError, match=rf"127\.0\.0\.1:{port}/v1.*after 2 tries"):
        make_backend("openai", base_url=f"http://127.0.0.1:{port}/v1", retries=1)


# Its life


def test_it_works_inside_a_running_event_loop():
    async def run(url: str) -> list:
        return fuse(url, n=3)

    with serve(lambda n, body: Answer()) as stub:
        assert all(isinstance(r, Reply) for r in asyncio.run(run(stub.url)))


def test_several_threads_share_one():
    with serve(lambda n, body: Answer(own(body))) as stub:
        backend, found = made(stub.url), {}
        threads = [
            threading.Thread(target=lambda k=k: found.update({k: backend.fuse(requests(40)[k * 10 : k * 10 + 10])}))
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        backend.close()
    assert [r.clip_id for k in range(4) for r in found[k]] == [r.clip_id for r in requests(40)]


def test_closing_twice_and_asking_after():
    with serve(lambda n, body: Answer()) as stub:
        backend = made(stub.url)
        assert backend.fuse([]) == []
        backend.close()
        backend.close()
        (error,) = backend.fuse([REQUEST])
    assert "closed" in str(error)


def test_closing_under_way_answers_all():
    with serve(lambda n, body: Answer(wait_s=1.0)) as stub:
        backend = made(stub.url)
        threading.Timer(0.2, backend.close).start()
        errors = backend.fuse(requests(20))
    assert {str(e) for e in errors} == {"the openai backend is closed"}


def test_one_that_is_forgotten_leaves_no_thread():
    with serve(lambda n, body: Answer()) as stub:
        backend = made(stub.url)
        backend.fuse([REQUEST])
        del backend
        gc.collect()
        deadline = time.monotonic() + 5
        while any(t.name == "captions" for t in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_translation_is_asked_for_by_the_same_rules():
    chinese = '{"id": "0123abcd", "short": "一只猫。", "dense": "一只猫，光线温暖。"}'
    with serve(lambda n, body: Answer(chinese.replace("0123abcd", "ffffffff")) if n == 0 else Answer(chinese)) as stub:
        backend = made(stub.url)
        (made_of,) = backend.translate([("0123abcd", "A cat.", "A cat in warm light.")])
        backend.close()
    assert (made_of.short, made_of.dense, made_of.tokens_in) == ("一只猫。", "一只猫，光线温暖。", 100)
    assert stub.seen[0]["response_format"]["json_schema"]["schema"] == CHINESE
    assert json.loads(stub.seen[0]["messages"][-1]["content"])["id"] == "0123abcd"


def test_a_mistake_in_a_check_is_not_hidden():
    question = Question("00000000", [{"role": "user", "content": "id: 00000000\n"}], {}, lambda raw: 1 / 0)
    with serve(lambda n, body: Answer("x")) as stub:
        backend = made(stub.url)
        with pytest.raises(ExceptionGroup) as told:
            backend.ask([question])
        backend.close()
    assert isinstance(told.value.exceptions[0], ZeroDivisionError)


# Replies


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
