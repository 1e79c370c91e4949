"""The one door to models: profiles, roles, overrides, and what is said when something lacks."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
import yaml

from experts import carriers, weights
from experts.carriers import CARRIERS
from experts.footage import FOOTAGE_CARRIERS, footage
from media.errors import ConfigError, MissingModelError


def written(path: Path, profile: dict[str, object]) -> str:
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(yaml.safe_dump(profile))
    if path.stat().st_mtime_ns == before:  # within one tick of the file system's clock
        os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
    return str(path)


def test_home_is_the_environments_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    assert weights.home() == tmp_path
    monkeypatch.delenv("RUSHES_HOME")
    assert weights.home() == Path.home() / ".cache" / "rushes"


@pytest.mark.parametrize("profile", ["embedded", "standard"])
def test_every_role_names_a_model_a_licence_and_what_it_is_for(profile: str) -> None:
    for role, source in weights.load_profile(profile).roles.items():
        assert source.model, role
        assert source.license, role
        assert source.doc, role


def test_embedded_needs_no_hub() -> None:
    assert all(source.hub is None for source in weights.load_profile("embedded").roles.values())


def test_standard_takes_the_roles_of_embedded_and_its_own() -> None:
    embedded, standard = weights.load_profile("embedded"), weights.load_profile("standard")
    assert set(embedded.roles) < set(standard.roles)
    assert standard.roles["language"].model != embedded.roles["language"].model
    assert standard.roles["tags"] == embedded.roles["tags"]


def test_every_carried_file_of_the_profile_is_pinned() -> None:
    for source in weights.load_profile("embedded").roles.values():
        if source.carrier is not None:
            member = f"{source.folder}/{source.file}" if source.folder else str(source.file)
            assert member in CARRIERS[source.carrier].files
    for carrier in CARRIERS.values():
        assert all(len(digest) == 64 for digest in carrier.files.values())


def test_resolve_gives_the_file_and_how_rows_name_it() -> None:
    found = weights.resolve("shots")
    assert found.path.is_file()
    assert found.ref.name == "transnetv2"
    assert found.ref.license == "MIT"
    assert found.ref.hash == hashlib.sha256(found.path.read_bytes()).hexdigest()[:12] == "a313d0b3bebf"


def test_a_model_that_is_a_folder_is_given_as_one() -> None:
    found = weights.resolve("sentence")
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {p.name for p in found.path.iterdir()}
    assert found.ref.hash == "53aa51172d14"


def test_an_installed_package_may_carry_a_model() -> None:
    assert weights.resolve("text_recognition").path.name == "PP-OCRv6_rec_small.onnx"


def test_a_local_file_goes_before_the_profile(tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"weights")
    found = weights.resolve("nsfw", override={"nsfw": mine})
    assert found.path == mine
    assert found.ref.name == "mine.onnx"
    assert found.ref.hash == hashlib.sha256(b"weights").hexdigest()[:12]


def test_a_changed_local_file_changes_its_hash(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"one")
    (folder / "notes.txt").write_text("not weights")
    first = weights.resolve("sentence", override={"sentence": folder}).ref.hash
    (folder / "notes.txt").write_text("other notes")
    assert weights.resolve("sentence", override={"sentence": folder}).ref.hash == first
    (folder / "a.safetensors").write_bytes(b"other")
    assert weights.resolve("sentence", override={"sentence": folder}).ref.hash != first


def test_a_local_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"'tags'.*gone\.pth"):
        weights.resolve("tags", override={"tags": tmp_path / "gone.pth"})


def test_a_missing_model_names_itself_the_profile_and_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    with pytest.raises(MissingModelError) as caught:
        weights.resolve("language")
    message = str(caught.value)
    for part in ("SmolLM2-135M", "'embedded'", "`rushes weights pull --profile embedded`", "local file or folder"):
        assert part in message
    assert caught.value.exit_code == 3


def test_a_missing_hub_model_is_the_same_error_and_asks_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("resolve went to the network")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refused)
    with pytest.raises(MissingModelError, match="rushes weights pull --profile standard"):
        weights.resolve("clip", "standard")


def test_nothing_falls_back_to_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingModelError, match=r"Qwen2\.5-7B-Instruct"):
        weights.resolve("language", "standard")


@pytest.mark.parametrize(
    ("profile", "role", "said"),
    [
        ("embeded", "tags", "did you mean 'embedded'"),
        ("embedded", "tag", "did you mean 'tags'"),
        ("embedded", "clip", "no role 'clip'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_right_one(profile: str, role: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        weights.resolve(role, profile)


ONE_ROLE = {"model": "m", "license": "MIT", "path": "x"}


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"name": "p", "roles": {"tags": {**ONE_ROLE, "hub": "a/b"}}}, "exactly one of"),
        ({"name": "p", "roles": {"tags": {"model": "m", "license": "MIT"}}}, "exactly one of"),
        ({"name": "p", "roles": {"tags": {**ONE_ROLE, "pth": "x"}}}, r"roles\.tags\.pth"),
        ({"name": "p", "roles": {"tags": {"model": "m", "license": "MIT", "carrier": "nope", "file": "f"}}}, "nope"),
        ({"name": "p", "roles": {"tags": {"model": "m", "license": "MIT", "carrier": "timm"}}}, "file"),
        ({"name": "p", "roles": {}, "rules": 1}, "rules"),
        ({"name": "p", "extends": "p", "roles": {}}, "cannot extend itself"),
    ],
)
def test_a_profile_that_is_wrong_names_file_and_field(tmp_path: Path, profile: dict[str, object], said: str) -> None:
    path = written(tmp_path / "p.yaml", profile)
    with pytest.raises(ConfigError, match=said) as caught:
        weights.load_profile(path)
    assert path in str(caught.value)


def test_a_profile_of_ones_own_extends_another(tmp_path: Path) -> None:
    mine = tmp_path / "w.bin"
    mine.write_bytes(b"w")
    role = {"model": "mine", "license": "MIT", "path": str(mine)}
    path = written(tmp_path / "own.yaml", {"name": "own", "extends": "embedded", "roles": {"tags": role}})
    assert weights.resolve("tags", path).path == mine
    assert weights.resolve("shots", path).ref.name == "transnetv2"


def test_what_a_profile_names_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    for folder, content in ((there, b"ours"), (elsewhere, b"theirs")):
        folder.mkdir()
        (folder / "w.bin").write_bytes(content)
    (elsewhere / "only.bin").write_bytes(b"only")
    role = {"model": "mine", "license": "MIT"}
    roles = {
        "tags": {**role, "path": "w.bin"},
        "nsfw": {**role, "path": "only.bin"},
        "pose": {**role, "path": "no.bin"},
    }
    written(there / "base.yaml", {"name": "base", "extends": "embedded", "roles": roles})
    own = written(there / "own.yaml", {"name": "own", "extends": "base.yaml"})
    monkeypatch.chdir(elsewhere)
    assert weights.resolve("tags", own).path.read_bytes() == b"ours"
    assert weights.resolve("nsfw", own).path.read_bytes() == b"only"  # as before: of the working directory
    with pytest.raises(MissingModelError, match=str(there / "no.bin")):
        weights.resolve("pose", own)
    assert weights.resolve("tags", "../there/own.yaml").path.read_bytes() == b"ours"
    written(there / "base.yaml", {"name": "base", "roles": {"tags": {**role, "path": str(elsewhere / "w.bin")}}})
    assert weights.resolve("tags", own).path.read_bytes() == b"theirs"  # a changed base is read again


def test_profiles_that_extend_each_other_are_refused_by_file_and_field(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    written(Path(a), {"name": "a", "extends": "b.yaml"})
    written(Path(b), {"name": "b", "extends": "a.yaml"})
    with pytest.raises(ConfigError, match=r"b\.yaml: extends: .*a\.yaml -> b\.yaml -> a\.yaml"):
        weights.load_profile(a)
    written(Path(b), {"name": "b", "extends": "gone.yaml"})
    with pytest.raises(ConfigError, match=r"b\.yaml: extends: no profile 'gone\.yaml'"):
        weights.load_profile(a)


def test_weights_of_the_hub_have_the_hash_of_the_same_weights_given_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, local = tmp_path / "0123abcd", tmp_path / "local"
    for folder in (snapshot, local):
        folder.mkdir()
        (folder / "a.safetensors").write_bytes(b"one")
        (folder / "b.safetensors").write_bytes(b"two")
    monkeypatch.setattr(weights, "_snapshot", lambda source, local_only: snapshot)
    hub = weights.resolve("depth", "standard").ref
    assert hub.hash == weights.resolve("depth", "standard", {"depth": local}).ref.hash
    (snapshot / "a.safetensors").write_bytes(b"other")
    assert weights.resolve("depth", "standard").ref.hash != hub.hash


def test_the_hash_of_a_large_file_is_kept_for_other_processes_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "_LARGE", 4)
    large = tmp_path / "large.bin"
    asked: list[Path] = []

    def sha256_of(path: Path) -> str:
        asked.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(carriers, "sha256_of", sha256_of)

    def hashed() -> str:
        weights._sha256.cache_clear()  # as another process
        return weights.resolve("tags", override={"tags": large}).ref.hash

    large.write_bytes(b"weights")
    assert hashed() == hashed() == hashlib.sha256(b"weights").hexdigest()[:12]
    assert len(asked) == 1
    large.write_bytes(b"other weights")
    assert hashed() == hashlib.sha256(b"other weights").hexdigest()[:12]
    assert len(asked) == 2


def test_status_has_a_row_for_each_role_there_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {row["role"]: row for row in weights.status()}
    assert set(here) == set(weights.load_profile("embedded").roles)
    assert all(row["present"] and row["hash"] and row["path"] for row in here.values())
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    gone = {row["role"]: row for row in weights.status()}
    assert not gone["tags"]["present"]
    assert gone["tags"]["model"] == "efficientnet-lite0"
    assert gone["tags"]["path"] is None
    assert gone["text_detection"]["present"]  # it comes with an installed package


def test_footage_is_real_and_each_file_has_its_rights() -> None:
    found = footage()
    assert [p.name for p in found.videos] == ["bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4"]
    assert len(found.photos) >= 8
    for file in found.files:
        assert file.path.stat().st_size > 10_000
        assert file.source
        assert file.license
        assert file.shows
    assert found.of("chelsea.png").license == "CC0-1.0"
    assert found.of(found.videos[0]).media == "video"
    with pytest.raises(KeyError):
        found.of("holiday.mp4")


def test_missing_footage_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    with pytest.raises(MissingModelError, match="rushes weights pull --footage"):
        footage()


def test_pull_of_what_is_there_fetches_nothing_and_tells_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # a download would fail
    seen: list[tuple[int, int]] = []
    weights.pull("embedded", footage=True, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] > 200_000_000
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {seen[-1][1]}


def test_the_footage_has_carriers_of_its_own() -> None:
    weighty = {source.carrier for source in weights.load_profile("embedded").roles.values()}
    assert not weighty & set(FOOTAGE_CARRIERS)
    assert all(carriers.is_complete(CARRIERS[name]) for name in FOOTAGE_CARRIERS)
