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
    """What the doctor found."""

    machine: dict[str, Any]
    packages: dict[str, dict[str, str | None]]
    profile: str
    models: list[dict[str, Any]]
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
            "lacking": self.lacking,
            "problems": self.problems,
        }

    def __str__(self) -> str:
        from pipelines.cli.common import table

        lines = ["Machine"]
        lines += [f"  {name:<18}{value}" for name, value in self.machine.items()]
        lines.append("\nPackages")
        for extra, found in self.packages.items():
            have = ", ".join(f"{name} {version}" for name, version in found.items() if version)
            lack = [name for name, version in found.items() if not version]
            hint = f"   not installed: {', '.join(lack)}  (pip install 'rushes[{extra}]')" if lack else ""
            lines.append(f"  {extra:<10}{have}{hint}")
        lines.append(f"\nModels of profile {self.profile}")
        lines += [
            "  " + line for line in table(self.models, ["role", "model", "license", "source", "present"]).split("\n")
        ]
        if self.lacking:
            lines.append(
                f"\nLacking: {', '.join(self.lacking)}. To get them: rushes weights pull --profile {self.profile}"
            )
        lines += [f"\nProblem: {problem}" for problem in self.problems]
        if not self.lacking and not self.problems:
            lines.append("\nAll is there. Next: rushes demo --out demo/")
        return "\n".join(lines)


def examine(profile: str) -> Examination:
    """Look at this machine and at `profile`."""
    from experts import weights

    problems = []
    wheels = [name for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python") if _version(name)]
    if len(wheels) > 1:
        problems.append(
            f"{' and '.join(wheels)} are both installed and overwrite each other; keep only the headless one"
        )
    if _version("torchaudio") and _version("torch"):
        problems.append("torchaudio beside a torch of another build breaks every transformers model; uninstall it")
    return Examination(
        _machine(weights.home()),
        {extra: {name: _version(name) for name in names} for extra, names in _PACKAGES.items()},
        profile,
        [dict(row) for row in weights.status(profile)],
        problems,
    )


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
