"""vLLM for real, on CPU cores: SmolLM2 from its package, served by `vllm serve`, captions ten clips, ten at a time.

Run by `make vllm-check`, which makes an environment for vLLM beside ours: its pins are not ours. The model is converted
once, from the GGUF file that the package brings to the folder that vLLM reads. What is checked is the road - schema,
ids, ten requests in flight, tokens counted - not the prose of 135 million parameters.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from captioning import caption_many, make_backend, make_checker
from experts import carriers, weights

__all__ = ["check"]

_CLIPS: Final = 10
_CONTEXT: Final = 2048
_PATIENCE_S: Final = 300.0
_CONVERT: Final = """
import sys
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
gguf, folder = Path(sys.argv[1]), sys.argv[2]
AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype="float32")
del model.config.quantization_config  # the weights are plain float32 by now; with it they could not be saved
plain = AutoModelForCausalLM.from_config(model.config)
plain.load_state_dict(model.state_dict())
plain.save_pretrained(folder)
"""
_CURE: Final = "rushes_torchvision_cure"


def check(python: Path, port: int) -> dict[str, Any]:
    """Convert, serve and caption; return the figures. RuntimeError where the server does not come up."""
    from tests.captioning.sets import load

    _cure(python)
    folder = _converted(python)
    jobs = [(labelled.row, labelled.statements) for labelled in load()[:_CLIPS]]
    started = time.perf_counter()
    with _served(python, folder, port) as url:
        up_s = time.perf_counter() - started
        backend = make_backend("openai", base_url=url, concurrency=_CLIPS, max_tokens=400, timeout_s=240.0, retries=2)
        try:
            started = time.perf_counter()
            rows = caption_many(jobs, backend, make_checker("embedded"), run_id="vllm-check")
            wall_s = time.perf_counter() - started
            guided = bool(getattr(backend, "guided", False))
        finally:
            backend.close()
    for row in rows:
        print(f"{row['clip_id']:<24} {row['outcome']:<9} {row['tries']} tries  {row['dense']}")
        if row["error"]:
            print(f"{'':<24} {row['error']}")
    return {
        "clips": len(rows),
        "answered": sum(row["error"] is None and bool(row["tokens_out"]) for row in rows),
        "guided_by_schema": guided,
        "server_up_s": round(up_s, 1),
        "captions_wall_s": round(wall_s, 1),
        "tokens_per_s": round(sum(row["tokens_out"] or 0 for row in rows) / wall_s, 1),
        "outcomes": dict(Counter(row["outcome"] for row in rows)),
    }


def _cure(python: Path) -> None:
    """Give vLLM's environment our cure for a torchvision beside a CPU-only torch: each of its processes needs it."""
    found = subprocess.run([python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True,
                           text=True, check=True)  # fmt: skip
    packages = Path(found.stdout.strip())
    (packages / f"{_CURE}.py").write_text(
        "import importlib.abc, sys\n"
        "class Hook(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torchvision' and 'torch' in sys.modules:\n"
        "            sys.meta_path.remove(self)\n"
        "            import torch\n"
        "            Hook.library = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "            for operator in ('nms', 'qnms'):\n"
        "                Hook.library.define(operator + '(Tensor boxes, Tensor scores, float most) -> Tensor')\n"
        "sys.meta_path.insert(0, Hook())\n"
    )
    (packages / f"{_CURE}.pth").write_text(f"import {_CURE}\n")


def _converted(python: Path) -> Path:
    """Return SmolLM2 as a folder of transformers, made once and kept beside the weights."""
    gguf = weights.resolve("language", "embedded").path
    folder = carriers.home() / "converted" / gguf.stem
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = folder.with_name(f".{folder.name}-{os.getpid()}")
        subprocess.run([python, "-c", _CONVERT, str(gguf), str(making)], check=True)
        making.rename(folder)
    return folder


@contextlib.contextmanager
def _served(python: Path, folder: Path, port: int) -> Iterator[str]:
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "LD_PRELOAD": str(python.parent.parent / "lib" / "libiomp5.so"),
    }
    command = [
        str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--dtype", "float32",
        "--enforce-eager", "--max-model-len", str(_CONTEXT), "--port", str(port), "--host", "127.0.0.1",
    ]  # fmt: skip
    log = folder.with_name("vllm.log")
    with log.open("w") as said, subprocess.Popen(command, env=environment, stdout=said, stderr=said) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/v1", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/models", timeout=5):
            return
        time.sleep(1)
    raise RuntimeError(f"vLLM did not come up in {_PATIENCE_S:g} s; the end of {log}:\n{log.read_text()[-3000:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check; exit with 1 where a clip was not answered, or the server did not decode by the schema."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vllm_check", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of an environment with vLLM")
    parser.add_argument("--port", type=int, default=8765, help="where the server listens, on this machine alone")
    options = parser.parse_args(argv)
    figures = check(options.python.absolute(), options.port)
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    return int(figures["answered"] < figures["clips"] or not figures["guided_by_schema"])


if __name__ == "__main__":
    sys.exit(main())
