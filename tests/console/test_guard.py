"""Who may open the page: token and Origin are checked, whatever else a request says."""

from __future__ import annotations

import pytest

from robot_rl.console.guard import judge

PORT, TOKEN = 8080, "right-token"
HOST = {"Host": f"127.0.0.1:{PORT}"}
ORIGIN = {"Origin": f"http://127.0.0.1:{PORT}"}
COOKIE = {"Cookie": f"other=1; robot_rl_console_{PORT}={TOKEN}"}
SOCKET = {"Upgrade": "websocket"}


def status(path: str, headers: dict[str, str]) -> int:
    verdict = judge(path, headers, TOKEN, PORT)
    return 200 if verdict is None else int(verdict.status)


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read() -> None:
    verdict = judge(f"/?token={TOKEN}", HOST, TOKEN, PORT)
    assert verdict is not None
    assert (verdict.status, verdict.headers["Location"]) == (303, "/")
    cookie = verdict.headers["Set-Cookie"]
    assert cookie.startswith(f"robot_rl_console_{PORT}={TOKEN};")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))


@pytest.mark.parametrize("headers", [HOST | COOKIE, HOST | COOKIE | ORIGIN | SOCKET])
def test_with_the_cookie_page_and_socket_open(headers: dict[str, str]) -> None:
    assert status("/", headers) == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", HOST),
        ("/", HOST | SOCKET | ORIGIN),
        ("/?token=", HOST),
        (f"/?token={TOKEN}x", HOST),
        (f"/?token={TOKEN}&token={TOKEN}", HOST),
        ("/?token=wrong", HOST | COOKIE),
        ("/", HOST | {"Cookie": f"robot_rl_console_{PORT}=wrong"}),
        ("/", HOST | {"Cookie": f"robot_rl_console_{PORT + 1}={TOKEN}"}),
        ("/", HOST | {"Cookie": "\x00;;=;"}),
        ("/?token=\u00e9", HOST),
    ],
)
def test_without_the_right_token_nobody_enters(path: str, headers: dict[str, str]) -> None:
    assert status(path, headers) == 401


@pytest.mark.parametrize(
    "headers",
    [
        HOST | COOKIE | SOCKET,  # a socket always says where its page is from
        HOST | COOKIE | SOCKET | {"Origin": "null"},
        HOST | COOKIE | SOCKET | {"Origin": "http://evil.example"},
        HOST | COOKIE | SOCKET | {"Origin": f"http://127.0.0.1:{PORT + 1}"},
        HOST | COOKIE | SOCKET | {"Origin": f"https://127.0.0.1:{PORT}"},
        HOST | COOKIE | {"Origin": "http://evil.example"},
        COOKIE | ORIGIN | {"Host": f"evil.example:{PORT}"},  # a name rebound to this machine
        COOKIE | ORIGIN,
    ],
)
def test_another_origin_or_host_is_refused_with_the_right_cookie(headers: dict[str, str]) -> None:
    assert status("/", headers) == 403
    assert status(f"/?token={TOKEN}", headers) == 403
