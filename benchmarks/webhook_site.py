"""This site, with all of its middleware: fed with events by benchmarks.webhook."""

from functools import partial

import django

from benchmarks.serving import Message, serve


def main() -> None:
    django.setup()

    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    call_command("migrate", verbosity=0)
    client = Client()

    def send(message: Message) -> int:
        body, headers = message["body"].encode(), message["headers"]
        answer = client.post("/webhooks/clerk/", data=body, content_type="application/json", headers=headers)
        return answer.status_code

    serve(send, partial(CaptureQueriesContext, connection))


if __name__ == "__main__":
    main()
