"""The step that captions: which clips lack one, what each backend needs, and the stage that runs in the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import captioning
from captioning.asking import Answer, Unanswered, questions_of
from captioning.backends import BackendConfig
from captioning.backends.base import local_model
from captioning.backends.given import GivenFuser
from dataset import schema_of
from dataset.root import SCRATCH
from experts.base import Statement
from media.errors import BackendError, ConfigError
from pipelines import llm
from pipelines.engine import Item, Part, RayEngine
from pipelines.linting import lint_captions, lint_is_stale
from pipelines.renewal import forget, unanswered
from pipelines.stages import Reader, still_id
from pipelines.steps import Work, drive, kept

__all__ = ["Caption", "caption"]

Row = dict[str, Any]
Job = tuple[Row, list[Statement]]

_FREE: Final = ("openai", "vllm", "transformers")
"""Backends that write freely: their words may be others than the statements'."""

_AT_ONCE: Final = {"openai": 256, "template": 64, "vllm": 64, "transformers": 64}
_JOURNAL: Final = f"{SCRATCH}/captions"
_FEW: Final = 4  # clips of a batch where each costs a second or more
_PASS: Final = 50_000  # clips of one pass of vLLM, which loads its model in each; their statements are held here
_SLICE: Final = 500  # clips whose rows are held here at a time


class Caption:
    """The experts' statements -> a checked caption. Items: clip_id; for vllm also `answers`, by keys of questions."""

    def __init__(self, *, root: str, captions: BackendConfig, experts: Sequence[str], run_id: str) -> None:
        self._reader = Reader(root)
        self._experts = list(experts)
        self._config = captions
        self._run_id = run_id
        self._backend = captioning.make_backend(captions)
        # Words of the statements' own need no embedding to be recognised; a model that writes freely has others.
        free = captions.backend in _FREE or captions.guided == "schema"
        self._checker = captioning.make_checker(captions.profile if free else None)

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        """Caption each clip; a pseudo-video takes its still's caption and adds the known camera motion."""
        ids = [item["clip_id"] for item in items]
        jobs, parents = jobs_of(self._reader, ids, self._experts)
        if isinstance(self._backend, GivenFuser):
            self._backend.answers = {key: _answer(told) for item in items for key, told in item["answers"].items()}
        made = captioning.caption_many(
            [job for job in jobs if job[0]["clip_id"] not in parents],
            self._backend,
            self._checker,
            run_id=self._run_id,
            window_s=self._config.window_s,
            zh=self._config.zh,
        )
        rows = {row["clip_id"]: row for row in made}
        for clip, _ in jobs:
            if parent := parents.get(clip["clip_id"]):
                rows[clip["clip_id"]] = captioning.for_pseudo(parent, clip, run_id=self._run_id)
        notes = [f"caption of {row['clip_id']}: {row['error']}" for row in made if row["error"]]
        return [
            Part("captions", [rows[clip["clip_id"]] for clip, _ in jobs], schema_of("captions"), " ".join(ids))
        ], notes


def jobs_of(reader: Reader, ids: Sequence[str], experts: Sequence[str]) -> tuple[list[Job], dict[str, Row]]:
    """Return each clip's row with its statements, in the order of `ids`; and the stills' captions of pseudo-videos.

    Clips that were removed since are not there.
    """
    columns = [field.name for field in schema_of("clips") if field.name != "affine"]
    clips = reader.rows("clips", ids, columns)
    stills = {i: still_id(clip["video_id"]) for i, clip in clips.items() if clip["kind"] == "pseudo"}
    captions = reader.rows("captions", sorted(set(stills.values())))
    said = [reader.rows(f"experts/{name}", ids) for name in experts]
    jobs = []
    for clip_id in (i for i in ids if i in clips):
        told = [table[clip_id] for table in said if clip_id in table]
        jobs.append((clips[clip_id], captioning.statements_of(told, clips[clip_id])))
    return jobs, {i: captions[still] for i, still in stills.items() if still in captions}


def caption(
    work: Work,
    config: BackendConfig,
    profile: str,
    names: Sequence[str],
    selection: str,
    *,
    again: bool = False,
    title: str = "caption: experts, language model, checker",
    numbered: bool = True,
) -> None:
    """Caption the kept clips that have no caption yet, or got no answer from the server; `again`: all of them.

    Stills come first, for their pseudo-videos say what they say. Then all captions of the dataset are compared
    (`pipelines.linting`). Raises ConfigError as the backend does, and for vllm without Ray.
    """
    if config.zh and config.backend not in ("openai", "transformers"):
        raise ConfigError(f"zh: the {config.backend} backend does not translate; openai and transformers do")
    if config.backend == "vllm" and not isinstance(work.engine, RayEngine):
        raise ConfigError("backend: vllm runs inside Ray; take --engine ray, or `vllm serve` and --backend openai")
    root = work.root
    todo = kept(root, selection)
    _let_go(work, config, todo, again)
    todo -= root.ids("captions")
    kinds = root.read("clips", columns=["clip_id", "kind"]).to_pylist()
    pseudo = {row["clip_id"] for row in kinds if row["kind"] == "pseudo"}
    captions = config.model_copy(update={"profile": profile, "journal": _journal(work, config)})
    if config.backend == "openai":
        captions = captions.model_copy(update={"concurrency": max(1, config.concurrency // work.engine.workers)})
    gpus = float(config.backend == "transformers" and isinstance(work.engine, RayEngine) and llm.has_gpu())
    kwargs = {"root": work.place, "captions": captions, "experts": list(names)}
    first, then = sorted(todo - pseudo), sorted(todo & pseudo)
    if config.backend == "vllm":
        _by_vllm(work, captions, kwargs, first, title=title, numbered=numbered)
    elif first or not then:
        items: list[Item] = [{"clip_id": clip_id} for clip_id in first]
        most = _AT_ONCE.get(config.backend, _FEW)
        drive(work, Caption, kwargs, items, most, "clips", gpus=gpus, title=title, numbered=numbered)
    if then:
        # What a pseudo-video shows is in its still's caption, so no language model is loaded for it.
        kwargs["captions"] = captions.model_copy(update={"backend": "template"})
        if first:
            title, numbered = "captions of the pseudo-videos", False
        items = [{"clip_id": clip_id} for clip_id in then]
        drive(work, Caption, kwargs, items, 64, "clips", title=title, numbered=numbered)
    if todo or lint_is_stale(root):
        lint_captions(root, work.run_id)
        root.remove(_JOURNAL)  # its answers are rows now


def _let_go(work: Work, config: BackendConfig, wanted: set[str], again: bool) -> None:
    """Let the captions go that are to be written anew: all that are wanted, or those that got no answer.

    Nothing goes before the model is known to be there.
    """
    have = work.root.ids("captions")
    failed = unanswered(work.root, config.backend) if config.backend in ("openai", "vllm") else set()
    renewed = wanted & (have if again else failed)
    if wanted - (have - renewed):
        _first_ask(config)
    if renewed:
        forget(work.root, "captions", renewed)
        why = "" if again else " that got no answer"
        work.report.say(f"      {len(renewed)} captions{why} are written anew")


def _first_ask(config: BackendConfig) -> None:
    """Raise what the backend raises where its model is not there: ConfigError, MissingModelError, BackendError."""
    if config.backend == "vllm":
        llm.vllm_processor(config)
    elif config.backend == "transformers":
        local_model(config, "a folder with a causal language model and its tokenizer")
    elif config.backend == "openai":
        backend = captioning.make_backend(config)
        backend.close()
        if why := getattr(backend, "unreached", None):
            raise BackendError(why)


def _journal(work: Work, config: BackendConfig) -> str | None:
    """Return where paid answers are kept until they are rows: as the config says; else in a dataset that is local."""
    if config.journal is not None or config.backend != "openai" or not work.root.local:
        return config.journal
    return f"{work.root.path}/{_JOURNAL}"


def _by_vllm(work: Work, config: BackendConfig, kwargs: dict[str, Any], ids: Sequence[str], **show: Any) -> None:
    """Have vLLM answer for some 50,000 clips at a time, and the workers check what it wrote and write it down."""
    processor = llm.vllm_processor(config)
    reader = Reader(work.place)
    for start in range(0, len(ids), _PASS):
        some = ids[start : start + _PASS]
        asked = []
        for first in range(0, len(some), _SLICE):
            jobs, _ = jobs_of(reader, some[first : first + _SLICE], kwargs["experts"])
            asked += captioning.requests_of(jobs, window_s=config.window_s)
        questions = questions_of(asked)
        with work.report.step("the language model writes", "answers", numbered=False) as move:
            answers = llm.answer_all(questions, processor, seed=config.seed, retries=config.retries, progress=move)
        told: dict[str, dict[str, Any]] = {clip_id: {} for clip_id in some}
        for request, question, answer in zip(asked, questions, answers, strict=True):
            told[request.clip_id.partition("#")[0]][question.key] = _told(answer)
        items: list[Item] = [{"clip_id": clip_id, "answers": told[clip_id]} for clip_id in some]
        drive(work, Caption, kwargs, items, _AT_ONCE["vllm"], "clips", **show)


def _told(answer: Answer | BackendError) -> dict[str, Any]:
    """Return an answer as plain values, as they travel to the workers."""
    if isinstance(answer, BackendError):
        spent = {name: getattr(answer, name, None) for name in ("tokens_in", "tokens_out", "tries")}
        return {"error": str(answer), **spent}
    return {"raw": answer.raw, "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out, "tries": answer.tries}


def _answer(told: Mapping[str, Any]) -> Answer | BackendError:
    if "error" in told:
        return Unanswered(told["error"], told["tokens_in"], told["tokens_out"], told["tries"] or 1)
    return Answer(**told)
