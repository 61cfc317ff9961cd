"""A site with django-clerk-users 0.4.1, run by its own interpreter and fed with events by benchmarks.webhook.

It asks Clerk's Backend API for each user whom an event is about: here the one at BENCHMARK_CLERK_API, as it ships, or,
where that is unset, with one kept client that answers from memory.
"""

import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import django
import httpx
from django.conf import settings
from serving import Message, postgresql, serve

SECRET = os.environ["BENCHMARK_WEBHOOK_SECRET"]


def main() -> None:
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": postgresql(os.environ["TEST_DATABASE_URL"])},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_clerk_users"],
        # Room for every message id: with Django's 300 entries it would forget what it has to deduplicate.
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "OPTIONS": {"MAX_ENTRIES": 100_000},
            }
        },
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        AUTH_USER_MODEL="django_clerk_users.ClerkUser",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        CLERK_SECRET_KEY="sk_test_benchmark",
        CLERK_WEBHOOK_SIGNING_KEY=SECRET,
        CLERK_WEBHOOK_DEDUP_TIMEOUT=3600,
    )
    django.setup()
    logging.disable(logging.INFO)

    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django_clerk_users.client import get_clerk_client

    call_command("migrate", verbosity=0)
    users: dict[str, Any] = {}
    transport = transport_of(get_clerk_client())
    if address := os.environ.get("BENCHMARK_CLERK_API"):
        transport.base_url = address
    else:

        def remembered(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=users[request.url.path.rpartition("/")[2]])

        transport._client = httpx.Client(transport=httpx.MockTransport(remembered))
    client = Client()

    def send(message: Message) -> int:
        body, headers = message["body"].encode(), message["headers"]
        data = json.loads(body)["data"]
        users[data["id"]] = data
        answer = client.post("/webhooks/clerk/", data=body, content_type="application/json", headers=headers)
        if b"failed" in answer.content:
            sys.exit("The view answered 200 for an event that it failed to apply.")
        return answer.status_code

    serve(send, partial(CaptureQueriesContext, connection))


def transport_of(client: Any) -> Any:
    return next(value for value in vars(client).values() if type(value).__name__ == "ClerkTransport")


def __getattr__(name: str) -> Any:
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.urls import path
    from django_clerk_users.webhooks import clerk_webhook_view

    return [path("webhooks/clerk/", clerk_webhook_view)]


if __name__ == "__main__":
    main()
