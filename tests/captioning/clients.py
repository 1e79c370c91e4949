"""What the tests of the servers' client share: a clip, requests for it, a client at an address."""

from __future__ import annotations

import json
import socket

from captioning import Request, make_backend
from tests.captioning.sets import parse

CAT = (parse("tags | subject | animal | looks like | cat | 0.8"), parse("light | light | light | is | warm | 0.9"))
REQUEST = Request("v:0-48", CAT)
TEXTS = json.dumps({"id": REQUEST.key, "short": "A.", "medium": "A.", "dense": "B."})
HALF = '{"id": "%s", "short": "A cat.", "medium": "A c'


def requests(n: int) -> list[Request]:
    return [Request(f"v:{i}-48", CAT) for i in range(n)]


def made(url: str, **settings):
    return make_backend("openai", base_url=url, **{"retries": 2, "timeout_s": 5.0, **settings})


def fuse(url: str, n: int = 1, **settings) -> list:
    backend = made(url, **settings)
    try:
        return backend.fuse(requests(n))
    finally:
        backend.close()


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
