"""What is answered: bytes in memory, packed too, with a tag by which a browser tells whether they changed."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

FOREVER = "public, max-age=31536000, immutable"
"""For what has the digest of its content in its address."""
ANEW = "no-cache"
"""Ask each time whether it has changed."""
_WORTH_PACKING_BYTES = 500
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Body(Struct, frozen=True):
    """One answer."""

    content: bytes
    packed: bytes
    """The same by gzip; empty where that is not worth it."""
    kind: str
    tag: str


def body(content: bytes, kind: str) -> Body:
    """Pack it, and give it its tag."""
    worth = len(content) >= _WORTH_PACKING_BYTES
    packed = gzip.compress(content, 6, mtime=0) if worth else b""
    return Body(content, packed, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def json_body(value: Struct) -> Body:
    return body(msgspec.json.encode(value), "application/json")


def json_answer(value: Struct, status: int = 200) -> Response:
    """A short one that is not asked for twice."""
    content = msgspec.json.encode(value)
    return Response(content, status, {"cache-control": "no-store"}, "application/json")


def answer(request: Request, what: Body, keep: str = ANEW) -> Response:
    """What is there, or that the browser has it already."""
    headers = {"etag": what.tag, "cache-control": keep, "vary": "accept-encoding"}
    if what.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = what.content
    if what.packed and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["content-encoding"] = what.packed, "gzip"
    return Response(content, headers=headers | {"content-type": what.kind})


class Static(Struct, frozen=True):
    """The page, and the files that it needs."""

    page: Body
    files: dict[str, Body]
    """By their path below the directory that is named after their digest."""
    digest: str


@cache
def static() -> Static:
    """All of them, read once: they come with the program."""
    found = {
        path: (content, suffix)
        for path, content in sorted(_read(files("watcher.web") / "static", ""))
        if (suffix := "." + path.rpartition(".")[2]) in _TYPES
    }
    html = found.pop("index.html")[0].decode()
    digest = hashlib.sha256(b"".join(content for content, _ in found.values())).hexdigest()[:16]
    page = Template(html).substitute(static=f"/static/{digest}")
    bodies = {path: body(content, _TYPES[suffix]) for path, (content, suffix) in found.items()}
    return Static(body(page.encode(), _TYPES[".html"]), bodies, digest)


def _read(folder: Traversable, below: str) -> list[tuple[str, bytes]]:
    contents: list[tuple[str, bytes]] = []
    for each in folder.iterdir():
        if each.is_dir():
            contents += _read(each, f"{below}{each.name}/")
        else:
            contents.append((below + each.name, each.read_bytes()))
    return contents
