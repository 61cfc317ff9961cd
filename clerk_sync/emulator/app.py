"""One address for everything: which part of Clerk answers a request, and the faults that may strike it first."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import backend, control, frontend, pages
from clerk_sync.emulator.clerk import Call, LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.faults import ConnectionBreaks, Fault

Answer = Callable[[LocalClerk, Request], Response]

# Clerk has two hosts whose paths overlap nowhere but here: these are the Frontend API's.
FRONTEND_PATHS = ("/v1/client/", "/v1/dev_browser", "/v1/environment", "/v1/me", "/.well-known/", "/npm/")


class App:
    """Answers a request for one local Clerk. Raises ConnectionBreaks where the answer must not arrive."""

    def __init__(self, clerk: LocalClerk) -> None:
        self.clerk = clerk

    def answer(self, request: Request) -> Response:
        part = self.part(request)
        if part is control.answer:
            return self.answered(part, request)
        faults = self.clerk.faults.drawn(request.method, request.path)
        response = self.before(faults) or self.answered(part, request)
        if part is backend.answer:
            self.record(request, response)
        if any(fault.kind == "lost_answer" for fault in faults):
            raise ConnectionBreaks
        return response

    @staticmethod
    def part(request: Request) -> Answer:
        if request.path == "/v1/client" or request.path.startswith(FRONTEND_PATHS):
            return frontend.answer
        if request.path.startswith("/v1/") and not request.path.startswith("/v1/tickets/"):
            return backend.answer
        return control.answer if request.path.startswith("/control/") else pages.answer

    def before(self, faults: list[Fault]) -> Response | None:
        """What strikes before the request is looked at; an answer here is the only one."""
        for fault in faults:
            if fault.kind in {"latency", "timeout"}:
                self.clerk.faults.sleep(fault.seconds)
            if fault.kind in {"reset", "timeout"}:
                raise ConnectionBreaks
            if fault.kind == "status":
                code = "too_many_requests" if fault.status == 429 else "internal_clerk_error"
                return Refusal(fault.status, code, "Ordered fault", retry_after=fault.retry_after).response()
        return None

    def answered(self, part: Answer, request: Request) -> Response:
        try:
            return part(self.clerk, request)
        except Refusal as refusal:
            return refusal.response()

    def record(self, request: Request, response: Response) -> None:
        body = request.get_data(as_text=True)
        call = Call(
            at=self.clerk.store.clock(),
            method=request.method,
            path=request.path,
            status=response.status_code,
            body=body,
        )
        self.clerk.record(call)
