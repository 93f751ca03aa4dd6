"""Who may open the page: whoever holds the token, from the page's own origin. Checked always.

viser's server takes any Origin and knows no token, so that any page in the operator's browser, and
any user of the machine, could drive the robot. The guard stands before it: the token in the printed
address becomes an HttpOnly cookie, and every request, the websocket's too, needs that cookie (401)
and this server as its Origin and Host (403; a foreign Host is a name rebound to this machine).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
COOKIE = "robot_rl_console"
MAX_MESSAGE = 1 << 20
"""Bytes of one message from a page: what it sends are clicks and poses."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request gets."""

    status: HTTPStatus
    headers: Mapping[str, str]
    reason: str


def judge(path: str, headers: Mapping[str, str], token: str, port: int) -> Verdict | None:
    """None: let it through to the page. `headers`: by name, in any case."""
    own = {f"{name}:{port}" for name in NAMES}
    if headers.get("Host") not in own:
        return _refused(HTTPStatus.FORBIDDEN, f"this console is http://{HOST}:{port} only")
    origin = headers.get("Origin")
    upgrades = "websocket" in (headers.get("Upgrade") or "").lower()
    if (origin is not None or upgrades) and origin not in {f"http://{name}" for name in own}:
        return _refused(HTTPStatus.FORBIDDEN, "a page of another origin may not use this console")
    given = parse_qs(urlsplit(path).query).get("token", [])
    if not upgrades and len(given) == 1 and _same(given[0], token):
        cookie = f"{COOKIE}_{port}={token}; HttpOnly; SameSite=Strict; Path=/"
        return Verdict(HTTPStatus.SEE_OTHER, {"Location": "/", "Set-Cookie": cookie}, "")
    if given or not _same(_cookie(headers.get("Cookie") or "", port), token):
        return _refused(HTTPStatus.UNAUTHORIZED, "open the address that robot-rl printed")
    return None


def _refused(status: HTTPStatus, reason: str) -> Verdict:
    return Verdict(status, {}, f"{status.value} {status.phrase}: {reason}\n")


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(text: str, port: int) -> str:
    try:
        found = SimpleCookie(text).get(f"{COOKIE}_{port}")
    except CookieError:
        return ""
    return "" if found is None else found.value


@contextmanager
def guarded(token: str) -> Iterator[Callable[[], bool]]:
    """While it lasts, a server that `websockets` starts asks `judge` before anything else.

    Gives a function that says whether one was started: with a viser that serves by other means
    there is no guard, and the caller must not go on.
    """
    import websockets.asyncio.server as asyncio_server

    serve, started = asyncio_server.serve, False

    def wrapped(handler: Any, host: Any, port: Any, **options: Any) -> Any:
        nonlocal started
        started = True
        inner = options.pop("process_request", None)

        def process(connection: Any, request: Any) -> Any:
            bound = connection.local_address[1]
            # Several of one header count as none, and are refused with that.
            found = {
                name: (request.headers.get_all(name) or [None])[0]
                for name in ("Host", "Origin", "Upgrade", "Cookie")
                if len(request.headers.get_all(name)) == 1
            }
            verdict = judge(request.path, found, token, bound)
            if verdict is None:
                return None if inner is None else inner(connection, request)
            response = connection.respond(verdict.status, verdict.reason)
            for name, value in verdict.headers.items():
                response.headers[name] = value
            response.headers["Cache-Control"] = "no-store"
            return response

        options["max_size"] = MAX_MESSAGE
        return serve(handler, host, port, process_request=process, **options)

    vars(asyncio_server)["serve"] = wrapped
    try:
        yield lambda: started
    finally:
        vars(asyncio_server)["serve"] = serve
