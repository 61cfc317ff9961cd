"""Log lines name their request and give nothing away."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from manageros.logs import JSONFormatter, RequestIdFilter, RequestIdMiddleware, TextFormatter, request_id
from tests.instance import ClerkInstance


def record(message: str, *args: Any, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "clerk_sync", "levelname": "INFO", "msg": message, "args": args, **extra})
    made.exc_info = exc_info
    RequestIdFilter().filter(made)
    return made


def test_json_line_carries_what_extra_gave() -> None:
    line = json.loads(JSONFormatter().format(record("delivered %s", "user_1", calls=3)))

    assert (line["message"], line["calls"], line["level"], line["logger"]) == (
        "delivered user_1",
        3,
        "info",
        "clerk_sync",
    )


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_no_token_secret_or_email_reaches_a_line(formatter: logging.Formatter, clerk_instance: ClerkInstance) -> None:
    secrets = [clerk_instance.token(), "sk_test_abc/def=", "whsec_abc+def==", "someone.else+tag@mail.example.com"]

    line = formatter.format(record("refused %s", " and ".join(secrets), detail=secrets[0]))

    assert [secret for secret in secrets if secret in line] == []
    assert "[redacted]" in line


@pytest.mark.parametrize("text", ["a" * 50_000, "eyJ" * 15_000, "eyJhbGciOi." * 5_000, "a@" * 25_000, "a@b." * 12_000])
def test_no_text_makes_redaction_slow(text: str) -> None:
    started = time.process_time()
    TextFormatter().format(record(text))

    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("before", ["", "/people/", "token=", "eyJeyJ", "to:", "a@b.c,"])
def test_secret_is_redacted_whatever_stands_before_it(before: str, clerk_instance: ClerkInstance) -> None:
    for secret in (clerk_instance.token(), "someone@mail.example.com"):
        assert secret not in TextFormatter().format(record(f"{before}{secret}"))


def test_traceback_is_redacted_too() -> None:
    with pytest.raises(ValueError, match="in_an_error") as raised:
        raise ValueError("sk_live_in_an_error")
    line = JSONFormatter().format(record("failed", exc_info=(raised.type, raised.value, raised.tb)))

    assert "ValueError" in json.loads(line)["traceback"]
    assert "sk_live_in_an_error" not in line


def answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request_id.get())


async def answer_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request_id.get())


def test_request_gets_an_id_that_its_log_lines_and_its_answer_carry(rf: RequestFactory) -> None:
    response = RequestIdMiddleware(answer)(rf.get("/"))

    assert response.headers["X-Request-ID"] == response.content.decode() != ""


def test_given_id_is_kept_under_asgi(rf: RequestFactory) -> None:
    response = asyncio.run(RequestIdMiddleware(answer_async)(rf.get("/", headers={"X-Request-ID": "trace-0001"})))

    assert response.headers["X-Request-ID"] == response.content.decode() == "trace-0001"


@pytest.mark.parametrize("given", ["a\nforged line", "short", "x" * 65, "has space in it"])
def test_unfit_id_is_replaced(rf: RequestFactory, given: str) -> None:
    response = RequestIdMiddleware(answer)(rf.get("/", headers={"X-Request-ID": given}))

    assert response.headers["X-Request-ID"] != given
