"""Posts an event to a webhook: the event from standard input, the URL from the environment.

A program of its own, so that it can be ended when its time is up, whatever it waits for. Exit status 0: the
answer was one of 200 to 299. It imports nothing of tickward. It says nothing of the URL, and nothing in the
words of the other end, which may be our own request with all that is secret in it.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # Where one leads to was not agreed upon, and would get the event without being asked.
    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, body: bytes) -> str:
    """Post a CloudEvents object. Returns what went wrong; empty: it was taken."""
    try:
        with urllib.request.build_opener(_NoRedirects).open(_request(url, body)):
            return ""
    except urllib.error.HTTPError as answer:
        with answer:
            said = http.client.responses.get(answer.code, "")
            redirected = "; redirects are not followed: set the URL that it leads to"
            return f"answered {answer.code} {said}".strip() + (redirected if answer.code // 100 == 3 else "")
    except urllib.error.URLError as error:
        why = error.reason  # a text is urllib's own
        return f"cannot be reached: {why if isinstance(why, str) else _in_our_words(why)}"
    except (ValueError, http.client.InvalidURL):  # whose texts quote the URL
        return "the URL in the settings is none that can be posted to"
    except OSError as error:
        return f"did not answer: {_in_our_words(error)}"
    except http.client.HTTPException as error:
        return f"did not answer in HTTP ({type(error).__name__})"
    except Exception as error:  # a traceback has it all
        return f"failed: {type(error).__name__}"


def _in_our_words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:  # of the system, or of OpenSSL
        return f"[Errno {error.errno}] {error.strerror}"
    if code := re.match(r"Tunnel connection failed: (\d{3})\b", str(error)):
        return f"the proxy answered {code[1]}"
    return "the connection was closed" if isinstance(error, ConnectionError) else type(error).__name__


def _request(url: str, body: bytes) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    headers = {"Content-Type": "application/cloudevents+json", "User-Agent": "tickward"}
    credentials, _, host = parts.netloc.rpartition("@")
    if credentials:
        user = urllib.parse.unquote(credentials).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(user).decode()}"
    address = urllib.parse.urlunsplit(parts._replace(netloc=host, fragment=""))
    return urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 (the settings know the scheme)


if __name__ == "__main__":
    problem = post(os.environ["TICKWARD_WEBHOOK"], sys.stdin.buffer.read().rstrip(b"\n"))
    if problem:
        print(problem)  # noqa: T201
    sys.exit(bool(problem))
