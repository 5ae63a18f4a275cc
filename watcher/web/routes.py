"""What is answered at which address. Nothing here changes anything: only GET and HEAD are understood."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, MutableMapping
from http import HTTPStatus
from typing import Any

import apsw
from loguru import logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from watcher.errors import TickwardError
from watcher.overview import Day
from watcher.web.bodies import ANEW, FOREVER, answer, json_answer, static
from watcher.web.feed import Feed
from watcher.web.hub import COMMENT, MOST_PAGES, NOTHING, OpenPage, unseen
from watcher.web.shape import Alive, Refusal

HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Whoever comes by another name was led here by a page of somebody else's (DNS rebinding)."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_STREAM_TYPE = "text/event-stream"
_COMMENT_SECONDS = 15.0


class Guard:
    """What holds for every answer, also for those of an error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            refusal = Refusal("this page is for looking only", "to change something use the command line")
            refused = json_answer(refusal, 405)
            refused.headers["allow"] = "GET, HEAD"
            await refused(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def application(feed: Feed, host: str) -> ASGIApp:
    """The page over a feed that runs; ``host`` is where it listens."""
    routes = _Routes(feed)
    return Starlette(
        routes=[
            Route("/", routes.page),
            Route("/static/{digest}/{path:path}", routes.static),
            Route("/api/overview", routes.overview),
            Route("/api/days/{stream}/{day}", routes.day),
            Route("/api/events", routes.events),
            Route("/healthz", routes.health),
        ],
        middleware=[
            Middleware(Guard),
            Middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS, host], www_redirect=False),
        ],
        exception_handlers={
            HTTPException: _refused,
            TickwardError: _unreadable,
            apsw.Error: _unreadable,
            OSError: _unreadable,
            Exception: _defect,
        },
    )


class _Routes:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def page(self, request: Request) -> Response:
        return answer(request, static().page)

    async def static(self, request: Request) -> Response:
        found, path = static(), request.path_params["path"]
        if request.path_params["digest"] != found.digest or path not in found.files:
            raise HTTPException(404, "there is no such file: load the page anew")
        return answer(request, found.files[path], FOREVER)

    async def overview(self, request: Request) -> Response:
        body = await self._feed.picture()
        if body is None:
            why = self._feed.problem or "the first look at the days takes long"
            return json_answer(Refusal(why, "the page asks again by itself"), 503)
        return answer(request, body, ANEW)

    async def day(self, request: Request) -> Response:
        stream, day = request.path_params["stream"], request.path_params["day"]
        row = self._row(f"{stream}/{day}")
        if row is None:
            raise HTTPException(404, "there is no such day: `tickward inventory` lists those that there are")
        return json_answer(await self._feed.history(row))

    async def events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type=_STREAM_TYPE)
        page = self._feed.hub.join()
        if page is None:
            return json_answer(Refusal(f"{MOST_PAGES} pages are open already", "close one of them"), 503)
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return _Stream(self._feed, page, last)

    async def health(self, _: Request) -> Response:
        problem = self._feed.problem
        seen = self._feed.overview
        status = Alive("failing" if problem else "ok", problem, seen.at if seen else None)
        return json_answer(status, 503 if problem else 200)

    def _row(self, key: str) -> Day | None:
        days = self._feed.overview.days if self._feed.overview else []
        place = bisect_left(days, key, key=lambda day: day.key)
        return days[place] if place < len(days) and days[place].key == key else None


class _Stream(StreamingResponse):
    """The stream of one page that is open, until it closes."""

    def __init__(self, feed: Feed, page: OpenPage, last_id: str) -> None:
        self._feed, self._page = feed, page
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self._messages(last_id), 200, headers, _STREAM_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.hub.leave(self._page)

    async def _messages(self, last_id: str) -> AsyncIterator[bytes]:
        """What it missed, then what is new: it has joined before, so that nothing is lost between the two."""
        yield COMMENT.text
        if self._feed.problem:
            yield unseen(self._feed.problem).text
        known = NOTHING
        for each in await self._feed.read(self._feed.backlog, last_id):
            known = each.position or known
            yield each.text
        while not self._page.closed:
            for each in await self._page.take(_COMMENT_SECONDS) or [COMMENT]:
                at = each.position
                if at is None or at.epoch != known.epoch or at.sequence > known.sequence:
                    yield each.text


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else "there is nothing here"
    return json_answer(Refusal(said, "the page is at /"), error.status_code)


async def _unreadable(_: Request, error: Exception) -> Response:
    return json_answer(Refusal(str(error), "the page asks again"), 503)


async def _defect(_: Request, error: Exception) -> Response:
    logger.opt(exception=error).error("a defect in tickward, please report it; the page goes on")
    return json_answer(Refusal("a defect in tickward", "its log has the details"), 500)
