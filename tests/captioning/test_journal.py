"""The journal: nothing that was paid for is lost, torn lines are not read, and a killed run does not pay twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning import Reply, Request, make_backend
from captioning.asking import Answer, Question
from captioning.journal import Journal, journal_key
from media.errors import BackendError, ConfigError
from tests.captioning import servers
from tests.captioning.sets import parse

A, B = "a" * 32, "b" * 32
CAT = (parse("tags | subject | animal | looks like | cat | 0.8"), parse("light | light | light | is | warm | 0.9"))


def requests(n: int) -> list[Request]:
    return [Request(f"v:{i}-48", CAT) for i in range(n)]


def lines(folder: Path) -> list[str]:
    return [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_what_is_put_is_there_now_and_after_opening_again(tmp_path):
    journal = Journal(tmp_path / "deep" / "folder")
    assert journal.get(A) is None
    answers = {A: Answer('{"id": "1"}\n"é"', 50, 20, 2), B: Answer("x")}
    for key, answer in answers.items():
        journal.put(key, answer)
    for opened in (journal, Journal(tmp_path / "deep" / "folder")):
        assert {key: opened.get(key) for key in answers} == answers
        assert len(opened) == 2
    journal.close()
    journal.close()


@given(st.lists(st.tuples(st.text(), st.none() | st.integers(0, 9), st.integers(1, 9)), max_size=8))
def test_any_text_comes_back_as_it_was(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    for n, (raw, tokens, tries) in enumerate(texts):
        journal.put(f"{n:032x}", Answer(raw, tokens, tokens, tries))
    journal.close()
    opened = Journal(folder)
    assert [opened.get(f"{n:032x}") for n in range(len(texts))] == [Answer(r, t, t, n) for r, t, n in texts]


@pytest.mark.parametrize("torn", [1, 5, 30, 1000])
def test_a_torn_last_line_is_not_read(tmp_path, torn):
    journal = Journal(tmp_path)
    journal.put(A, Answer("first"))
    journal.put(B, Answer("second " * 200))
    journal.close()
    (path,) = tmp_path.glob("*.jsonl")
    os.truncate(path, path.stat().st_size - torn)
    opened = Journal(tmp_path)
    assert opened.get(A) == Answer("first")
    assert opened.get(B) is None
    opened.put(B, Answer("again"))
    assert Journal(tmp_path).get(B) == Answer("again")


def test_what_is_no_record_is_skipped(tmp_path):
    good = {"key": A, "raw": "r", "tokens_in": None, "tokens_out": 3, "tries": 1, "at": 0.0}
    bad = ["", "{", "[1]", "null", "{}", json.dumps({**good, "key": "xyz"}), json.dumps({**good, "raw": 3})]
    (tmp_path / "1-x.jsonl").write_text("\n".join([*bad, json.dumps(good), ""]))
    journal = Journal(tmp_path)
    assert (len(journal), journal.get(A)) == (1, Answer("r", None, 3))


def test_each_that_writes_has_a_file_of_its_own(tmp_path):
    first, second = Journal(tmp_path), Journal(tmp_path)
    first.put(A, Answer("one"))
    second.put(B, Answer("two"))
    assert first.get(B) is None  # what others write is seen when it is opened
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert {Journal(tmp_path).get(k) for k in (A, B)} == {Answer("one"), Answer("two")}


def test_threads_share_one(tmp_path):
    journal = Journal(tmp_path)

    def write(first: int) -> None:
        for n in range(first, 200, 4):
            journal.put(f"{n:032x}", Answer(f"text {n}", n))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = Journal(tmp_path)
    for n in range(200):
        assert journal.get(f"{n:032x}") == opened.get(f"{n:032x}") == Answer(f"text {n}", n)


def test_clear_forgets_everything_and_writing_goes_on(tmp_path):
    journal, other = Journal(tmp_path), Journal(tmp_path)
    journal.put(A, Answer("one"))
    other.put(B, Answer("two"))
    journal.clear()
    assert (len(journal), journal.get(A), lines(tmp_path)) == (0, None, [])
    assert other.get(B) is None  # gone from under it
    journal.put(B, Answer("three"))
    assert Journal(tmp_path).get(B) == Answer("three")


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"journal: .*file"):
        Journal(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"journal: s3://bucket/x is no local folder"):
        Journal("s3://bucket/x")


def test_a_disk_that_refuses_leaves_the_journal_whole(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.put(A, Answer("one"))
    write = os.write

    def torn(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", torn)
    with pytest.raises(OSError, match="No space"):
        journal.put(B, Answer("two"))
    monkeypatch.setattr(os, "write", write)
    journal.put(B, Answer("three"))
    opened = Journal(tmp_path)
    assert [j.get(k) for j in (journal, opened) for k in (A, B)] == [Answer("one"), Answer("three")] * 2


def test_the_key_is_of_all_that_an_answer_depends_on():
    question = Question("00000000", [{"role": "user", "content": "x"}], {"type": "object"}, lambda raw: None)
    other = Question("00000000", [{"role": "user", "content": "y"}], {"type": "object"}, lambda raw: None)
    third = Question("00000000", [{"role": "user", "content": "x"}], {"type": "string"}, lambda raw: None)
    keys = {
        journal_key("m", question, {"seed": 0}),
        journal_key("n", question, {"seed": 0}),
        journal_key("m", question, {"seed": 1}),
        journal_key("m", other, {"seed": 0}),
        journal_key("m", third, {"seed": 0}),
    }
    assert len(keys) == 5
    assert all(len(bytes.fromhex(key)) == 16 for key in keys)
    assert journal_key("m", question, {"seed": 0}) in keys


# With a server


def test_what_was_paid_for_is_not_asked_for_again(tmp_path):
    with servers.serve(lambda n, body: servers.Answer(servers.own(body))) as stub:
        settings = {"base_url": stub.url, "journal": str(tmp_path)}
        first = make_backend("openai", **settings)
        given = first.fuse(requests(3))
        first.close()
        again = make_backend("openai", **settings)
        assert again.fuse(requests(5))[:3] == given
        assert again.remembered == 3
        other = make_backend("openai", **settings, seed=7)
        other.fuse(requests(1))
        assert other.remembered == 0
        again.close()
        other.close()
    assert len(stub.seen) == 6
    assert all(isinstance(reply, Reply) and reply.tokens_in == 50 for reply in given)
    assert "127.0.0.1" not in "".join(lines(tmp_path))


def test_an_answer_of_no_use_is_not_remembered(tmp_path):
    with servers.serve(lambda n, body: servers.Answer("no")) as stub:
        backend = make_backend("openai", base_url=stub.url, journal=str(tmp_path), retries=0)
        (error,) = backend.fuse(requests(1))
        backend.close()
    assert isinstance(error, BackendError)
    assert lines(tmp_path) == []


def test_a_full_disk_costs_no_caption(tmp_path, monkeypatch):
    def full(self: Journal, key: str, answer: Answer) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "put", full)
    with servers.serve(lambda n, body: servers.Answer()) as stub:
        backend = make_backend("openai", base_url=stub.url, journal=str(tmp_path))
        with pytest.warns(RuntimeWarning, match="No space"):
            (reply,) = backend.fuse(requests(1))
        backend.close()
    assert isinstance(reply, Reply)


RUN = """
import sys
from captioning import make_backend
from tests.captioning.test_journal import requests
url, folder, n, most = sys.argv[1:]
backend = make_backend("openai", base_url=url, journal=folder, concurrency=int(most), timeout_s=60)
print(len([r for r in backend.fuse(requests(int(n))) if hasattr(r, "dense")]))
backend.close()
"""


def start(url: str, folder: Path, n: int, most: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, url, str(folder), str(n), str(most)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def until(true, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_run_goes_on_where_it_was_and_pays_for_nothing_twice(tmp_path):
    """The server answers 80 and then holds back, so that the client is killed with all paid answers in its hands."""
    killed = threading.Event()

    def answer(n: int, body: dict) -> servers.Answer:
        if n >= 80 and not killed.is_set():
            killed.wait(60)
            return servers.Answer(hang_up=True)
        return servers.Answer(servers.own(body), wait_s=0.01)

    with servers.serve(answer) as stub:
        process = start(stub.url, tmp_path, 200, 8)
        until(lambda: len(lines(tmp_path)) == 80)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        killed.set()
        backend = make_backend("openai", base_url=stub.url, journal=str(tmp_path))
        replies = backend.fuse(requests(200))
        backend.close()
    assert backend.remembered == 80
    for request, reply in zip(requests(200), replies, strict=True):
        assert isinstance(reply, Reply)
        assert (reply.clip_id, reply.dense) == (request.clip_id, f"Dense of {request.key}.")
    assert Counter(stub.paid) == Counter({request.key: 1 for request in requests(200)})


def test_killed_at_any_moment_only_what_was_under_way_is_paid_twice(tmp_path):
    with servers.serve(lambda n, body: servers.Answer(servers.own(body), wait_s=0.005)) as stub:
        for times in (20, 60, 120):
            process = start(stub.url, tmp_path, 200, 4)
            until(lambda times=times: len(lines(tmp_path)) >= times)
            process.kill()
            process.communicate()
        process = start(stub.url, tmp_path, 200, 4)
        output, _ = process.communicate(timeout=60)
    assert output == "200\n"
    paid = Counter(stub.paid)
    assert set(paid) == {request.key for request in requests(200)}
    assert sum(paid.values()) - len(paid) <= 3 * 4
