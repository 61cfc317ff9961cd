"""What no real Clerk has: a test in another process orders faults here, and asks what happened."""

from dataclasses import asdict

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.answers import json_response
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.fields import WHOLE, json_body
from clerk_sync.emulator.routing import Routes

routes = Routes(prefix="/control")

FAULT = {
    "kind": (str,),
    "match": (str,),
    "seconds": (int, float),
    "status": (int,),
    "retry_after": WHOLE,
    "probability": (int, float),
    "times": WHOLE,
}
KINDS = {"latency", "status", "reset", "timeout", "lost_answer"}


def answer(clerk: LocalClerk, request: Request) -> Response:
    return routes.answer(clerk, request)


@routes.add("POST", "/faults")
def add_fault(clerk: LocalClerk, request: Request) -> Response:
    """The body is a `Fault`, member by member."""
    body = json_body(request, FAULT, required=("kind",))
    if body["kind"] not in KINDS:
        raise Refusal(422, "fault_unknown", f"kind must be one of {', '.join(sorted(KINDS))}")
    clerk.faults.add(Fault(**body))
    return json_response({}, status=201)


@routes.add("DELETE", "/faults")
def clear_faults(clerk: LocalClerk, request: Request) -> Response:
    clerk.faults.clear()
    return json_response({})


@routes.add("GET", "/calls")
def calls(clerk: LocalClerk, request: Request) -> Response:
    """`counts` since the start by method and path, and the last calls one by one."""
    return json_response({"counts": dict(clerk.call_counts), "calls": [asdict(call) for call in clerk.calls]})


@routes.add("GET", "/webhooks")
def webhooks(clerk: LocalClerk, request: Request) -> Response:
    sent = [
        {"id": each.id, "type": each.type, "attempts": each.attempts, "answer": each.answer}
        for each in clerk.webhooks.log
    ]
    return json_response({"webhooks": sent})


@routes.add("POST", "/webhooks/<delivery_id>/replay")
def replay(clerk: LocalClerk, request: Request, delivery_id: str) -> Response:
    for delivery in clerk.webhooks.log:
        if delivery.id == delivery_id:
            clerk.webhooks.replay(delivery)
            return json_response({}, status=202)
    raise Refusal(404, "resource_not_found", "not found")
