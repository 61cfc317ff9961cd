"""The HTTP server: connections that stay open between requests, as Clerk's do, and end when it stops."""

import socket
import threading
from io import BytesIO
from types import TracebackType
from typing import Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.app import App
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.faults import ConnectionBreaks

MAXIMUM_BODY = 1024 * 1024  # bytes


class Handler(WSGIRequestHandler):
    """Werkzeug's own `run_wsgi` closes every connection, because it may leave part of a request unread.

    Here the body is read before it is looked at, so the connection can carry the next request.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits up to 40 ms for the acknowledgement of its headers
    server: "Server"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def run_wsgi(self) -> None:
        try:
            response = self.server.application.answer(self.whole_request())
        except Refusal as refusal:
            self.close_connection = True
            response = refusal.response()
        except ConnectionBreaks:
            self.close_connection = True
            return
        self.send(response)

    def whole_request(self) -> Request:
        if "Transfer-Encoding" in self.headers:
            raise Refusal(411, "length_required", "Content-Length is required")
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAXIMUM_BODY:
            raise Refusal(413, "request_too_large", "The request body is too large")
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self.rfile.read(length))
        return Request(environ)

    def send(self, response: Response) -> None:
        body = response.get_data()
        response.headers["Content-Length"] = str(len(body))
        head = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
        head += [
            f"Date: {self.date_time_string()}",
            f"Connection: {'close' if self.close_connection else 'keep-alive'}",
        ]
        text = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"
        self.wfile.write(text + (b"" if self.command == "HEAD" else body))

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Calls are shown on the overview page; a line for each would drown what a demo has to say."""


class Server(ThreadedWSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, clerk: LocalClerk) -> None:
        self.connections: set[socket.socket] = set()
        self.application = App(clerk)
        super().__init__(host, port, Response(), Handler)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was quicker


class RunningClerk:
    """A local Clerk that serves from a thread of this process, until the end of the `with` block.

    With port 0 any free one is taken.
    """

    def __init__(self, clerk: LocalClerk, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.clerk = clerk
        self.host, self.port = host, port
        self.server: Server | None = None
        self.thread: threading.Thread | None = None

    def start(self) -> Self:
        self.clerk.faults.stopping.clear()
        self.server = Server(self.host, self.port, self.clerk)
        self.port = self.server.server_port
        self.clerk.instance.frontend_api_url = self.clerk.instance.frontend_api_url or self.url
        self.clerk.webhooks.start()
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), name="local-clerk", daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        """Unreachable from here on, kept-alive connections included; `start()` brings it back as it was."""
        if self.server is None or self.thread is None:
            return
        self.clerk.faults.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.clerk.webhooks.stop()
        self.server = self.thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def backend_api_url(self) -> str:
        return f"{self.url}/v1"
