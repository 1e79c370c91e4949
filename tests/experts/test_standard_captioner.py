"""The captioner: free words to claims, a server over real HTTP, and the model in this process."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import experts
from experts.base import Rgb
from experts.standard import _place, _server, captioner
from experts.standard._words import PROMPT, UNTOLD, Answer, _sentences, claims
from experts.torchvision import have_torchvision, ready
from media import decode_jpeg
from media.errors import BackendError, ConfigError
from tests.captioning import servers
from tests.experts import tiny
from tests.experts.conftest import view_of

SAID = """subject: A brown dog.
**Count:** Two people stand on the grass.
- action: The dog runs across the lawn.
text: A sign reads "STOP HERE".
camera: The camera pans left.
setting: none
light: It is not possible to tell."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_place.DEVICE, "cpu")
    monkeypatch.setattr(_server, "_WAIT_S", 0.01)


@pytest.fixture
def frames() -> list[Rgb]:
    dice = np.random.default_rng(4)
    return [np.full((48, 64, 3), value, np.uint8) for value in dice.integers(0, 255, 3)]


def parts(answer: str) -> list[tuple[str, str, str, str]]:
    return [(c["dimension"], c["subject"], c["predicate"], c["value"]) for c in claims(Answer(answer))]


# Words


def test_lines_with_labels_become_claims_of_their_dimension() -> None:
    assert parts(SAID) == [
        ("subject", "scene", "shows", "a brown dog"),
        ("count", "two people", "stand", "on the grass"),
        ("action", "dog", "runs", "across the lawn"),
        ("text", "text", "reads", "STOP HERE"),
        ("camera", "camera", "pans", "left"),
    ]


@pytest.mark.parametrize(
    ("sentence", "dimension"),
    [
        ("The camera zooms in slowly.", "camera"),
        ("The room is lit by a lamp.", "light"),
        ("A beach with palms in the background.", "setting"),
        ("It is a black and white photograph.", "style"),
        ("A man wears a red hat.", "appearance"),
        ("Children playing with a ball.", "action"),
        ("A tall tower.", "subject"),
    ],
)
def test_a_sentence_without_a_label_belongs_where_its_words_do(sentence: str, dimension: str) -> None:
    assert [claim["dimension"] for claim in claims(Answer(sentence))] == [dimension]


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ('A sign reads "I LOVE NY".', "I LOVE NY"),
        ("The sign's letters spell 'OPEN'.", "OPEN"),
        ("There are “two words”.", "two words"),
    ],
)
def test_text_is_what_stands_between_quotes(line: str, read: str) -> None:
    assert parts(f"text: {line}") == [("text", "text", "reads", read)]


@pytest.mark.parametrize(
    "nothing",
    [
        "",
        "  \n ",
        "text: None",
        "text: No visible text.",
        "count: unknown",
        "light: n/a",
        "I cannot tell what it is.",
        "subject: " + "very " * 60 + "long",
    ],
)
def test_what_says_nothing_claims_nothing(nothing: str) -> None:
    assert claims(Answer(nothing)) == []


def test_the_same_words_are_claimed_once_and_a_flood_is_cut_off() -> None:
    assert len(parts("subject: A dog.\nsubject: A dog.")) == 1
    assert len(parts("\n".join(f"subject: thing number {at}" for at in range(40)))) == 12


def test_two_that_wear_the_same_are_two_claims() -> None:
    assert parts("The man wears a red hat. The woman wears a red hat.") == [
        ("appearance", "man", "wears", "a red hat"),
        ("appearance", "woman", "wears", "a red hat"),
    ]


def test_every_quotation_is_read() -> None:
    assert parts("text: One sign reads \"STOP\" and another 'GO LEFT'.") == [
        ("text", "text", "reads", "STOP"),
        ("text", "text", "reads", "GO LEFT"),
    ]


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        ("Mr. Bean holds a bear. It is brown!", ["Mr. Bean holds a bear", "It is brown"]),
        ("A tower of 3.5 metres... Dr. Who stands by?", ["A tower of 3.5 metres", "Dr. Who stands by"]),
        ('A sign reads "STOP!" in red. A car stops.', ['A sign reads "STOP!" in red', "A car stops"]),
        ('He says "Go." She goes.', ['He says "Go."', "She goes"]),
        ("One. Two", ["One", "Two"]),
    ],
)
def test_a_sentence_ends_where_it_ends(said: str, sentences: list[str]) -> None:
    assert [said[start:end].strip(" .!?") for _, start, end in _sentences(said)] == sentences


def test_the_confidence_of_a_claim_is_that_of_its_own_tokens() -> None:
    text = "subject: A dog.\naction: It runs."
    tokens = (("subject: A dog.", math.log(0.9)), ("\naction:", math.log(0.2)), (" It", math.log(0.5)))
    told = claims(Answer(text, (*tokens, (" runs.", math.log(0.8)))))
    assert [claim["confidence"] for claim in told] == [pytest.approx(0.9), pytest.approx(math.sqrt(0.4))]
    assert [claim["confidence"] for claim in claims(Answer(text))] == [UNTOLD, UNTOLD]
    assert claims(Answer("subject: A dog.", (("subject: A dog.", 0.0),)))[0]["confidence"] == 0.95


def test_the_prompt_asks_for_every_dimension_but_quality() -> None:
    asked = PROMPT.format(count=4)
    assert "4 frames" in asked
    assert all(name in asked for name in experts.DIMENSIONS if name != "quality")


# A server


def with_probabilities(text: str, probability: float) -> servers.Answer:
    pieces = [{"token": character, "logprob": math.log(probability)} for character in text]
    choice = {"message": {"content": text}, "logprobs": {"content": pieces}, "finish_reason": "stop"}
    return servers.Answer(body=json.dumps({"choices": [choice]}).encode())


def test_a_server_sees_the_frames_as_data_urls_and_its_words_are_stated(frames: list[Rgb]) -> None:
    with servers.serve(lambda n, body: servers.Answer(SAID)) as stub:
        expert = experts.load("captioner", "standard", override={"captioner": stub.url})
        assert expert.model is not None
        assert (expert.model.name, len(expert.model.hash)) == ("stub-model", 12)
        view = view_of(frames, first=20)
        (values,) = expert.measure([view])
    (body,) = stub.seen
    assert (body["model"], body["temperature"], body["logprobs"]) == ("stub-model", 0.0, True)
    *pictures, question = body["messages"][0]["content"]
    assert question == {"type": "text", "text": PROMPT.format(count=3)}
    for picture, frame in zip(pictures, frames, strict=True):
        kind, _, data = picture["image_url"]["url"].partition(";base64,")
        assert kind == "data:image/jpeg"
        assert np.abs(decode_jpeg(base64.b64decode(data)).astype(int) - frame).max() <= 4
    assert values["vlm_text"] == SAID
    assert values["vlm_confidence"] == pytest.approx(UNTOLD)
    said = expert.state(view, values)
    assert [(s.dimension, s.value) for s in said][:2] == [("subject", "a brown dog"), ("count", "on the grass")]
    assert {(s.first_frame, s.end_frame, s.confidence) for s in said} == {(20, 50, UNTOLD)}


def test_what_the_server_was_unsure_of_is_kept_but_not_stated(frames: list[Rgb]) -> None:
    for probability, stated in ((0.4, 0), (0.8, 1)):
        with servers.serve(lambda n, body, p=probability: with_probabilities("subject: A dog.", p)) as stub:
            expert = experts.load("captioner", "standard", override={"captioner": stub.url})
            (values,) = expert.measure([view_of(frames)])
        assert values["vlm_claims"][0]["confidence"] == pytest.approx(probability)
        assert len(expert.state(view_of(frames), values)) == stated


def test_clips_are_asked_for_together_and_answered_in_their_order(frames: list[Rgb]) -> None:
    def answer(_: int, body: dict[str, Any]) -> servers.Answer:
        count = len(body["messages"][0]["content"]) - 1
        return servers.Answer(f"subject: thing {count}", wait_s=0.3 if count == 1 else 0.1)

    with servers.serve(answer) as stub:
        expert = experts.load("captioner", "standard", override={"captioner": stub.url})
        rows = expert.measure([view_of(frames[:count]) for count in (1, 2, 3)])
    assert [row["vlm_text"] for row in rows] == ["subject: thing 1", "subject: thing 2", "subject: thing 3"]
    assert stub.most_at_once == 3


def test_what_may_pass_is_tried_again_and_what_will_not_is_an_error(frames: list[Rgb]) -> None:
    def flaky(n: int, _: dict[str, Any]) -> servers.Answer:
        return servers.Answer(status=503) if n < 2 else servers.Answer("subject: A dog.")

    with servers.serve(flaky) as stub:
        expert = experts.load("captioner", "standard", override={"captioner": stub.url})
        assert expert.measure([view_of(frames)])[0]["vlm_text"] == "subject: A dog."
    for answer, said in (
        (servers.Answer(status=400, body=b"too many images"), "HTTP 400: too many images"),
        (servers.Answer(status=503), "HTTP 503"),
        (servers.Answer(body=b"{}"), "an answer without a message"),
        (servers.Answer(hang_up=True), "no answer"),
    ):
        with servers.serve(lambda n, body, a=answer: a) as stub:
            expert = experts.load("captioner", "standard", override={"captioner": stub.url})
            with pytest.raises(BackendError, match=said):
                expert.measure([view_of(frames)])
            (row,) = experts.run(expert, [view_of(frames)], run_id="r")
            assert said in row["error"]


def test_no_server_is_an_error_before_any_clip() -> None:
    with pytest.raises(BackendError, match="no answer"):
        experts.load("captioner", "standard", override={"captioner": "http://127.0.0.1:9/v1"})


def test_a_served_captioner_is_a_line_of_a_profile_and_wants_no_gpu(
    tmp_path: Path, frames: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_server.KEY, "secret")
    with servers.serve(lambda n, body: servers.Answer("subject: A dog.")) as stub:
        role = {"model": "Qwen2.5-VL-7B-Instruct", "license": "Apache-2.0", "server": stub.url}
        path = tmp_path / "served.yaml"
        path.write_text(yaml.safe_dump({"name": "served", "extends": "standard", "roles": {"captioner": role}}))
        monkeypatch.delenv(_place.DEVICE)
        assert experts.needs_gpu(str(path), ["captioner", "clip"]) == ["clip"]
        experts.require_gpu(str(path), ["captioner"])
        expert = experts.load("captioner", str(path))
        assert expert.model == experts.model_of("captioner", str(path))
        expert.measure([view_of(frames)])
    assert stub.seen[0]["model"] == "Qwen2.5-VL-7B-Instruct"
    assert stub.headers[0]["authorization"] == "Bearer secret"


# In this process


def test_a_question_is_put_together_as_the_models_own_processor_does(
    checkpoints: tiny.Checkpoints, frames: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not have_torchvision():
        pytest.skip("the processor of transformers wants torchvision")
    ready()
    from transformers import AutoTokenizer, Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    folder = checkpoints["captioner"]
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
        Qwen2VLVideoProcessor(),
    )
    text = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    text += "<|vision_start|><|image_pad|><|vision_end|>" * 2 + "What is it?<|im_end|>\n<|im_start|>assistant\n"
    theirs = processor(text=[text], images=frames[:2], return_tensors="pt")
    monkeypatch.setattr(captioner, "_TOKENS", 3)
    speaker: Any = experts.load("captioner", "standard", override={"captioner": folder})
    asked: dict[str, Any] = {}
    generate = speaker._speaker._network.generate

    def spy(**given: Any) -> Any:
        asked.update(given)
        return generate(**given)

    monkeypatch.setattr(speaker._speaker._network, "generate", spy)
    speaker._speaker.answer([(frames[:2], "What is it?")])
    assert asked["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert asked["mm_token_type_ids"].tolist() == theirs["mm_token_type_ids"].tolist()
    assert asked["image_grid_thw"].tolist() == theirs["image_grid_thw"].tolist()
    assert (asked["pixel_values"] - theirs["pixel_values"]).abs().max() < 0.05


def test_its_words_come_with_the_probability_of_every_token(
    checkpoints: tiny.Checkpoints, frames: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captioner, "_TOKENS", 6)
    expert: Any = experts.load("captioner", "standard", override={"captioner": checkpoints["captioner"]})
    (answer,) = expert._speaker.answer([(frames, "What?")])
    assert "".join(piece for piece, _ in answer.tokens) == answer.text
    assert 0 < len(answer.tokens) <= 6
    assert all(log_probability <= 0 for _, log_probability in answer.tokens)
    again, other = expert._speaker.answer([(frames, "What?"), (frames[:1], "Who?")])
    assert again == answer
    assert other.tokens


def test_a_model_of_another_class_is_refused(checkpoints: tiny.Checkpoints) -> None:
    with pytest.raises(ConfigError, match="'captioner'"):
        experts.load("captioner", "standard", override={"captioner": checkpoints["depth"]})


def test_at_most_eight_frames_are_shown_and_none_that_the_model_could_not_bear() -> None:
    assert captioner._spread(3) == [0, 1, 2]
    assert captioner._spread(100) == [0, 14, 28, 42, 57, 71, 85, 99]
    assert captioner._spread(0) == []
    for shape in ((1080, 1920), (1, 1), (2, 4000), (4000, 2), (360, 640)):
        height, width = captioner._shrunk(np.zeros((*shape, 3), np.uint8)).shape[:2]
        assert max(height, width) <= 672
        assert max(height, width) / min(height, width) < 200
