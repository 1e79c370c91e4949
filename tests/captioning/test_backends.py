"""One contract for all backends: an answer a request, in order, by id; errors as values; closing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from captioning import BACKENDS, BackendConfig, Checker, Fuser, Reply, Request, caption_many, make_backend
from captioning.asking import Answer, Question
from captioning.prompts import SCHEMA, messages, prompt_hash
from captioning.statements import settle
from experts.torchvision import ready
from media.errors import BackendError, ConfigError
from tests.captioning import servers
from tests.captioning.sets import SPAN, load

SETS = {s.name: s for s in load()}
CHOSEN = [SETS["tabby"], SETS["rocket"]]


def requests() -> list[Request]:
    return [Request(s.row["clip_id"], settle(s.statements, span=SPAN).statements) for s in CHOSEN]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    """A tiny random language model with a byte-level tokenizer, as `save_pretrained` writes it."""
    ready()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate([*alphabet, "<end>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("tiny-llama")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(alphabet) + 1,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=len(alphabet),
        pad_token_id=len(alphabet),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def backend(request, tmp_path_factory) -> Iterator[Fuser]:
    if request.param == "openai":
        with servers.serve(lambda n, body: servers.Answer()) as stub:
            made = make_backend("openai", base_url=stub.url)
            yield made
            made.close()
        return
    settings = {"model": "a/model"} if request.param == "vllm" else {}
    if request.param == "transformers":
        settings = {"max_tokens": 24, "model": request.getfixturevalue("checkpoint")}
    made = make_backend(request.param, **settings)
    yield made
    made.close()


def test_an_answer_for_each_request_in_order(backend):
    answers = backend.fuse(requests())
    assert len(answers) == len(CHOSEN)
    for request, answer in zip(requests(), answers, strict=True):
        assert isinstance(answer, Reply | BackendError)
        if isinstance(answer, Reply):
            assert answer.clip_id == request.clip_id
            assert answer.short
            assert answer.dense
        else:
            assert str(answer)


def test_no_requests_no_answers(backend):
    assert backend.fuse([]) == []


def test_it_says_what_it_is(backend):
    assert backend.name in BACKENDS
    assert isinstance(backend, Fuser)
    assert (backend.model is None) == (backend.prompt_hash is None) == (backend.name == "template")
    if backend.model is not None:
        assert backend.prompt_hash == prompt_hash()
        assert backend.model.name


def test_its_captions_are_rows_whatever_it_writes(backend):
    rows = caption_many([(s.row, s.statements) for s in CHOSEN[:1]], backend, Checker(), run_id="r")
    for row, labelled in zip(rows, CHOSEN, strict=False):
        statements = settle(labelled.statements, span=SPAN).statements
        assert row["outcome"] in {"ok", "repaired", "template"}
        assert Checker().check(row["dense"], statements).ok
        assert Checker().check(row["short"], statements).ok
        assert row["backend"] == backend.name


def test_smollm2_fuses_for_real():
    """The real weights: every fact said in the model's own words, checked; the same bytes whatever came before."""
    backend = make_backend("embedded", threads=1)
    one, other = requests()
    try:
        first = backend.fuse([one])
        backend.fuse([other])
        again = backend.fuse([one])
        backend.close()
        backend.close()
        (closed,) = backend.fuse([one])
    finally:
        backend.close()
    assert first == again
    assert isinstance(closed, BackendError)
    (reply,) = first
    assert isinstance(reply, Reply)
    assert reply.raw is not None
    assert json.loads(reply.raw) == {"short": reply.short, "dense": reply.dense}
    assert backend.model is not None
    assert backend.model.hash == "b179c9523d0e"
    assert reply.tokens_out is not None
    assert reply.tokens_out > 20
    for word in ("tabby cat", "orange", "black", "warm", "still", "almost no motion", "low key"):
        assert word in reply.dense
    assert Checker().check(reply.dense, one.statements).ok


def test_smollm2_written_freely_is_held_by_the_checker():
    backend = make_backend("embedded", guided="schema", max_tokens=90)
    try:
        (row,) = caption_many([(CHOSEN[0].row, CHOSEN[0].statements)], backend, Checker(), run_id="r")
    finally:
        backend.close()
    assert row["outcome"] in {"ok", "repaired", "template"}
    assert Checker().check(row["dense"], settle(CHOSEN[0].statements, span=SPAN).statements).ok


def test_the_transformers_backend_counts_tokens_and_names_its_weights(checkpoint):
    backend = make_backend("transformers", model=checkpoint, max_tokens=16)
    (answer,) = backend.fuse(requests()[:1])
    assert isinstance(answer, BackendError)  # random weights write no JSON
    assert "JSON" in str(answer)
    asked = []
    question = Question("0" * 8, [{"role": "user", "content": "x"}], {}, asked.append)
    assert backend.ask([question]) == [Answer(asked[0], len("x\n\n"), 16)]
    assert backend.model is not None
    assert len(backend.model.hash) == 12
    backend.close()
    (closed,) = backend.fuse(requests()[:1])
    assert "closed" in str(closed)


def test_questions_of_one_batch_are_answered_as_if_alone(checkpoint):
    """Prompts of different lengths, one too long: padding changes no answer, and the misfit costs only its own."""
    chats = ["a cat", "two dogs on a beach, seen from afar", "x" * 5000, "light"]
    questions = [Question("0" * 8, [{"role": "user", "content": text}], {}, lambda raw: None) for text in chats]
    backend = make_backend("transformers", model=checkpoint, max_tokens=16)
    alone = backend.ask(questions)
    backend._batch = 4
    together = backend.ask(questions)
    backend.close()
    assert "do not fit" in str(alone[2])
    assert [str(a) for a in together] == [str(a) for a in alone]


def test_a_prompt_that_does_not_fit_is_an_error(checkpoint):
    backend = make_backend("transformers", model=checkpoint, max_tokens=4000)
    (answer,) = backend.fuse(requests()[:1])
    assert "do not fit" in str(answer)
    backend.close()


def test_mistakes_name_the_field_and_the_fix(tmp_path):
    with pytest.raises(ConfigError, match=r"'gpt'.*template, embedded, openai, vllm, transformers"):
        make_backend("gpt")
    with pytest.raises(ConfigError, match=r"model: the transformers backend needs a folder"):
        make_backend("transformers")
    with pytest.raises(ConfigError, match=r"is not there"):
        make_backend("transformers", model=str(tmp_path / "nothing"))
    with pytest.raises(BackendError, match=r"no causal language model"):
        make_backend("transformers", model=str(tmp_path))


@pytest.mark.parametrize(
    ("backend", "tokens"), [("embedded", 160), ("template", 160), ("openai", 768), ("vllm", 768), ("transformers", 768)]
)
def test_each_backend_has_room_for_what_it_writes(backend, tokens):
    assert (
        BackendConfig(backend=backend).max_tokens
        == BackendConfig(backend=backend, max_tokens=None).max_tokens
        == tokens
    )
    assert BackendConfig(backend=backend, max_tokens=99).max_tokens == 99


def test_another_backend_by_the_same_config_takes_its_own_defaults():
    config = BackendConfig(backend="embedded", concurrency=9)
    with servers.serve(lambda n, body: servers.Answer()) as stub:
        made = make_backend(config, backend="openai", base_url=stub.url)
        made.fuse(requests()[:1])
        made.close()
    assert stub.seen[0]["max_tokens"] == 768


def test_every_setting_is_described():
    assert all(f.description for f in BackendConfig.model_fields.values())
    assert set(BackendConfig.model_fields["backend"].annotation.__args__) == set(BACKENDS)


def test_the_prompt_is_the_rules_the_example_and_the_facts():
    chat = messages(requests()[0].statements)
    assert [m["role"] for m in chat] == ["system", "user", "assistant", "user"]
    assert set(json.loads(chat[2]["content"])) == set(SCHEMA["required"])
    assert chat[3]["content"].splitlines()[:2] == ["Facts:", "- a tabby cat is visible"]
    assert len(prompt_hash()) == 12
    assert chat[:3] == messages(requests()[1].statements)[:3]


def test_the_worked_example_says_only_its_facts():
    example, answer = messages([])[1]["content"], json.loads(messages([])[2]["content"])
    known = {word.strip(",.") for line in example.splitlines()[1:] for word in line.split()}
    for text in (answer["short"], answer["dense"]):
        words = {word.strip(",.").lower() for word in text.split()}
        assert words - known <= {"in", "as", "and"}
