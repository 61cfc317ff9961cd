"""Log lines: each names its request, and none carries a token, a secret or an email address.

Redaction happens in the formatters, after the message and any traceback have been put together, so that it holds for
every library's lines too.
"""

import json
import logging
import re
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from accounts.impersonation import current_actor

request_id: ContextVar[str] = ContextVar("request_id", default="")

# A client's own id is kept so that one request can be followed through several systems, but only where it cannot forge
# a log line.
ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# In time that grows with the text alone: whoever asks for a long address has it logged. No alternative may read on
# from each of many starts to the same end, hence a word without a dot is taken too, and an email address only whole.
SECRETS = re.compile(
    r"""
    eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*     # a JSON Web Token
    | sk_(?:test|live)_[A-Za-z0-9+/=_-]+          # a Clerk secret key
    | whsec_[A-Za-z0-9+/=_-]+                     # a Svix secret
    | dvb_[A-Za-z0-9_-]+                          # a development browser's token
    | (?<![A-Za-z0-9._%+'-])[A-Za-z0-9._%+'-]++@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+   # an email address
    """,
    re.VERBOSE,
)
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redacted(text: str) -> str:
    return SECRETS.sub("[redacted]", text)


class RequestIdFilter(logging.Filter):
    """Puts the id of the request being answered on each record, empty outside one, and its impersonator if any."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if actor := current_actor.get():
            record.actor = actor
        return True


class TextFormatter(logging.Formatter):
    """One line for a person, redacted."""

    def format(self, record: logging.LogRecord) -> str:
        actor = getattr(record, "actor", "")
        return redacted(super().format(record) + (f" (done by {actor} on somebody else's behalf)" if actor else ""))


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, what `extra` gave, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD_ATTRIBUTES}
        line.pop("request", None)
        if record.exc_info and record.exc_info[1]:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return redacted(json.dumps(line, default=str))


class RequestIdMiddleware:
    """Gives each request an id: the `X-Request-ID` it came with, or a new one; the answer carries it too."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self.answer_async(request)
        identifier = identify(request)
        return with_id(self.get_response(request), identifier)

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        identifier = identify(request)
        return with_id(await self.get_response(request), identifier)


def identify(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-ID", "")
    identifier = given if ACCEPTABLE_REQUEST_ID.fullmatch(given) else uuid4().hex
    request_id.set(identifier)
    return identifier


def with_id(response: HttpResponseBase, identifier: str) -> HttpResponseBase:
    response.headers["X-Request-ID"] = identifier
    return response


def logging_config(form: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, as `text` or as `json`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "manageros.logs.RequestIdFilter"}},
        "formatters": {
            "text": {"()": "manageros.logs.TextFormatter", "format": "{levelname} {name}: {message}", "style": "{"},
            "json": {"()": "manageros.logs.JSONFormatter"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["request_id"]},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "accounts": {"level": level},
            "clerk_sync": {"level": level},
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": ["stderr"], "level": level, "propagate": False},
            # The servers bring handlers of their own, which know nothing of redaction.
            "gunicorn.error": {"handlers": ["stderr"], "level": level, "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": level, "propagate": False},
            "uvicorn.access": {"handlers": [], "level": level, "propagate": True},
        },
    }
