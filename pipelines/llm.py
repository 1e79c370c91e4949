"""A language model inside Ray: questions through Ray Data's LLM processor, with vLLM engines as its actors.

The processor streams: templating, tokenising, decoding and detokenising overlap, and no server has to be started. An
answer that does not pass its question's check is asked for again, with another seed, as often as the config's
`retries` say; one that fails for good is its clip's error.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.asking import Answer, Question, Unanswered
from captioning.backends import BackendConfig
from media.errors import BackendError, ConfigError

__all__ = ["Processor", "answer_all", "has_gpu", "vllm_processor"]

Row = dict[str, Any]
Progress = Callable[[int, int], None]

_CONTEXT_TOKENS = 4096
_BATCH = 64
_TEMPERATURE_AGAIN = 0.4


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor's config for Ray Data, and how rows go in and come out of it.

    `prepare` makes of a row `{n, chat, schema, seed, attempt}`, chat and schema as JSON, what the processor's first
    stage wants; `read` makes of what comes out `{n, raw, tokens_in, tokens_out}`. A row that failed has
    `__inference_error__` instead.
    """

    config: Any
    prepare: Callable[[Row], Row]
    read: Callable[[Row], Row]


def vllm_processor(config: BackendConfig) -> Processor:
    """Return the processor that runs `config.model` by vLLM. ConfigError without a model, or without vLLM here."""
    if config.model is None:
        raise ConfigError("model: the vllm backend needs a model's name on the hub, or its folder")
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError("backend: vllm needs vLLM on every node; pip install -e '.[vllm]', on a machine with a GPU")
    return _vllm(config)


def _vllm(config: BackendConfig) -> Processor:
    from ray.data.llm import vLLMEngineProcessorConfig

    most = config.max_tokens
    made = vLLMEngineProcessorConfig(
        model_source=config.model,
        engine_kwargs={
            "tensor_parallel_size": config.tensor_parallel,
            "max_model_len": max(_CONTEXT_TOKENS, config.context),
            "enable_prefix_caching": True,  # the rules and the worked example are the same in every chat
            "enable_chunked_prefill": True,
            **({} if has_gpu() else {"dtype": "float32", "enforce_eager": True}),
        },
        concurrency=config.replicas,
        batch_size=_BATCH,
        should_continue_on_error=True,
        **_place(),
    )

    def prepare(row: Row) -> Row:
        again = row["attempt"] > 0  # greedy, it would say the same; and what was cut short needs room
        sampling = {
            "max_tokens": most * (1 + again),
            "temperature": _TEMPERATURE_AGAIN if again else 0.0,
            "seed": row["seed"],
            "structured_outputs": {"json": json.loads(row["schema"])},
        }
        return {"n": row["n"], "messages": json.loads(row["chat"]), "sampling_params": sampling}

    return Processor(made, prepare, _read_vllm)


def has_gpu() -> bool:
    """Whether the cluster has one; asked of Ray where it runs, else of this machine."""
    import ray

    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU")) or Path("/dev/nvidia0").exists()


def _place() -> dict[str, Any]:
    """Return what an engine without a GPU wants of Ray: cores, and no metrics, which hang there."""
    if has_gpu():
        return {}
    return {"placement_group_config": {"bundle_per_worker": {"CPU": 1}}, "log_engine_metrics": False}


def _read_vllm(row: Row) -> Row:
    return {
        "n": row["n"],
        "raw": row["generated_text"],
        "tokens_in": row["num_input_tokens"],
        "tokens_out": row["num_generated_tokens"],
    }


def answer_all(
    questions: Sequence[Question], processor: Processor, *, seed: int = 0, retries: int = 1, progress: Progress | None
) -> list[Answer | BackendError]:
    """Return an answer, or its error, for each question, in their order."""
    answers: dict[int, Answer | BackendError] = {}
    answered = 0
    spent: dict[int, tuple[int, int]] = {}
    left = list(range(len(questions)))
    for attempt in range(retries + 1):
        for n, row in _run(questions, left, processor, seed, attempt):
            answers[n] = _checked(questions[n], row, spent, n, attempt + 1)
            answered += isinstance(answers[n], Answer)
            if progress is not None:
                progress(answered, len(questions))
        left = [n for n in left if not isinstance(answers.get(n), Answer)]
        if not left:
            break
    lost = BackendError("the language model gave no answer for this clip")
    return [answers.get(n, lost) for n in range(len(questions))]


def _checked(
    question: Question, row: Row, spent: dict[int, tuple[int, int]], n: int, tries: int
) -> Answer | BackendError:
    if failed := row.get("__inference_error__"):
        return BackendError(f"the language model failed: {str(failed)[:200]}")
    before = spent.get(n, (0, 0))
    spent[n] = before[0] + (row["tokens_in"] or 0), before[1] + (row["tokens_out"] or 0)
    try:
        question.check(row["raw"])
    except BackendError as error:
        return Unanswered(str(error), *spent[n], tries=tries)
    return Answer(row["raw"], *spent[n], tries=tries)


def _run(
    questions: Sequence[Question], left: Sequence[int], processor: Processor, seed: int, attempt: int
) -> Iterator[tuple[int, Row]]:
    """Yield each row that comes back with the number of its question, in whatever order they come."""
    import ray.data
    from ray.data.llm import build_processor

    same = {"seed": seed + attempt, "attempt": attempt}
    rows = [
        {"n": n, "chat": json.dumps(list(questions[n].chat)), "schema": json.dumps(questions[n].schema), **same}
        for n in left
    ]
    through = build_processor(processor.config, preprocess=processor.prepare, postprocess=processor.read)
    for row in through(ray.data.from_items(rows)).iter_rows():
        yield int(row["n"]), row
