"""A language model inside Ray: the real LLM processor of Ray Data, here with a server behind it in vLLM's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from captioning import Request
from captioning.asking import Answer, questions_of
from captioning.backends import BackendConfig, make_backend
from captioning.prompts import SCHEMA_BY_KEY
from media.errors import BackendError, ConfigError
from pipelines import llm
from pipelines.engine import RayEngine
from tests.captioning import servers
from tests.captioning.sets import parse

CAT = (parse("tags | subject | animal | looks like | cat | 0.8"), parse("light | light | light | is | warm | 0.9"))
REQUESTS = [Request(f"v:{i}-48", CAT) for i in range(6)]
QUESTIONS = questions_of(REQUESTS)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[RayEngine]:
    engine = RayEngine(2)
    yield engine
    engine.close()


def over_http(url: str) -> llm.Processor:
    """Ray's processor of HTTP requests: another last stage, all else as with vLLM."""
    from ray.data.llm import HttpRequestProcessorConfig

    def prepare(row: dict[str, Any]) -> dict[str, Any]:
        payload = {"messages": json.loads(row["chat"]), "seed": row["seed"], "schema": json.loads(row["schema"])}
        return {"n": row["n"], "payload": payload}

    def read(row: dict[str, Any]) -> dict[str, Any]:
        answer = row["http_response"]
        usage = answer["usage"]
        raw = answer["choices"][0]["message"]["content"]
        return {
            "n": row["n"],
            "raw": raw,
            "tokens_in": usage["prompt_tokens"],
            "tokens_out": usage["completion_tokens"],
        }

    config = HttpRequestProcessorConfig(url=f"{url}/chat/completions", batch_size=2, concurrency=1)
    return llm.Processor(config, prepare, read)


@pytest.mark.xdist_group("cluster")
@pytest.mark.timeout(240)
def test_answers_are_matched_checked_and_asked_for_again(ray_engine: RayEngine) -> None:
    headers = {"Content-Type": "application/json"}
    other = json.dumps({"id": "00000000", "short": "A.", "medium": "A.", "dense": "A."})
    wrong = servers.Answer(content=other, headers=headers)

    def answer(n: int, body: dict[str, Any]) -> servers.Answer:
        asked = body["messages"][-1]["content"]
        if QUESTIONS[0].key in asked:
            return wrong  # always for another clip
        return wrong if QUESTIONS[1].key in asked and body["seed"] == 5 else servers.Answer(headers=headers)

    moved: list[tuple[int, int]] = []
    with servers.serve(answer) as stub:
        answers = llm.answer_all(
            QUESTIONS, over_http(stub.url), seed=5, retries=1, progress=lambda *at: moved.append(at)
        )
    assert isinstance(answers[0], BackendError)
    assert "00000000" in str(answers[0])
    for question, given in zip(QUESTIONS[1:], answers[1:], strict=True):
        assert isinstance(given, Answer)
        question.check(given.raw)
        assert (given.tries, given.tokens_out) == ((2, 40) if question is QUESTIONS[1] else (1, 20))
    assert len(stub.seen) == 6 + 2
    assert stub.seen[0]["schema"] == SCHEMA_BY_KEY
    assert moved[-1] == (5, 6)


def test_vllm_is_configured_as_ray_wants_it() -> None:
    config = BackendConfig(backend="vllm", model="Qwen/Qwen2.5-7B-Instruct", replicas=2, tensor_parallel=4)
    processor = llm._vllm(config)
    assert processor.config.model_source == "Qwen/Qwen2.5-7B-Instruct"
    assert processor.config.engine_kwargs["tensor_parallel_size"] == 4
    assert processor.config.should_continue_on_error
    asked = {"n": 3, "chat": '[{"role": "user", "content": "x"}]', "schema": "{}", "seed": 7}
    row = processor.prepare({**asked, "attempt": 0})
    assert row["messages"] == [{"role": "user", "content": "x"}]
    assert row["sampling_params"]["structured_outputs"] == {"json": {}}
    assert (row["sampling_params"]["seed"], row["sampling_params"]["temperature"]) == (7, 0.0)
    again = processor.prepare({**asked, "attempt": 1})["sampling_params"]
    assert (again["max_tokens"], again["temperature"]) == (2 * row["sampling_params"]["max_tokens"], 0.4)
    out = {"n": 3, "generated_text": "{}", "num_input_tokens": 9, "num_generated_tokens": 2, "prompt": "x"}
    assert processor.read(out) == {"n": 3, "raw": "{}", "tokens_in": 9, "tokens_out": 2}


def test_without_vllm_or_a_model_it_says_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install -e '.\[vllm\]'"):
        llm.vllm_processor(BackendConfig(backend="vllm", model="m"))
    for make in (llm.vllm_processor, make_backend):
        with pytest.raises(ConfigError, match="model: the vllm backend needs"):
            make(BackendConfig(backend="vllm"))


def test_given_answers_are_taken_by_key_and_checked() -> None:
    from captioning.backends.given import GivenFuser

    backend = GivenFuser(BackendConfig(backend="vllm", model="org/model"))
    good = json.dumps({"id": REQUESTS[0].key, "short": "A cat.", "medium": "A cat.", "dense": "A cat."})
    backend.answers = {
        REQUESTS[0].key: Answer(good, 9, 2, 1),
        REQUESTS[1].key: Answer(good, 9, 2, 1),  # another clip's
        REQUESTS[2].key: BackendError("the language model failed: out of memory"),
    }
    first, second, third, fourth = backend.fuse(REQUESTS[:4])
    assert not isinstance(first, BackendError)
    assert (first.clip_id, first.dense, first.tokens_out) == (REQUESTS[0].clip_id, "A cat.", 2)
    assert "the reply is for" in str(second)
    assert "out of memory" in str(third)
    assert "no answer" in str(fourth)
    backend.close()
    assert isinstance(backend.fuse(REQUESTS[:1])[0], BackendError)
