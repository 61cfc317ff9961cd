"""The side of a site that is measured: it answers what its parent process sends, in Django's own handler.

Peers import it under their own interpreters, so it needs nothing but Python.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

Message = dict[str, Any]
Send = Callable[[Message], int]


def serve(send: Send, capture_queries: Callable[[], AbstractContextManager[Any]]) -> None:
    """For each line of messages from the parent process, answer what they took.

    `seconds` passed meanwhile, `processor` seconds did this process use, `queries` are those of a message sent alone.
    """
    for line in sys.stdin:
        messages = json.loads(line)
        queries = 0
        started, used = time.perf_counter(), time.process_time()
        if len(messages) == 1:
            with capture_queries() as captured:
                send_all(messages, send)
            queries = len(captured)
        else:
            send_all(messages, send)
        took = {"seconds": time.perf_counter() - started, "processor": time.process_time() - used, "queries": queries}
        json.dump(took, sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()


def send_all(messages: list[Message], send: Send) -> None:
    for message in messages:
        status = send(message)
        if status != 200:
            sys.exit(f"The view answered {status}.")


class Browser:
    """Asks a WSGI application for its front page, as a server would, with the token of each message.

    `keeps_cookies`: it sends the cookies that it was given, as browsers do.
    """

    def __init__(self, application: Callable[..., Any], *, expect: bytes, keeps_cookies: bool = False) -> None:
        self.application = application
        self.expect = expect
        self.keeps_cookies = keeps_cookies
        self.cookies: dict[str, str] = {}
        self.status = 0

    def get(self, message: Message) -> int:
        response = self.application(self.environment(message["token"]), self.start_response)
        body = b"".join(response)
        response.close()
        if self.status == 200 and self.expect not in body:
            sys.exit(f"The view took the token for somebody else's: {body[:300]!r}")
        return self.status

    def environment(self, token: str) -> dict[str, Any]:
        environment = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "testserver",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
        }
        if self.cookies:
            environment["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return environment

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> None:
        self.status = int(status[:3])
        if self.keeps_cookies:
            for name, value in headers:
                if name == "Set-Cookie":
                    self.cookies |= {name: cookie.value for name, cookie in SimpleCookie(value).items()}


def postgresql(url: str) -> dict[str, Any]:
    """The database of this URL, as Django's settings have it."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": unquote(parts.netloc.rpartition("@")[2].partition(":")[0]),
        "PORT": parts.port or "",
    }
