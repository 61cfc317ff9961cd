"""A process of the site that receives one delivery, and dies on the way if it is told to: run by test_crashes.

python -m tests.clerk_sync.one_delivery {answer,die-before-commit,die-before-answer} < message
"""

import json
import os
import signal
import sys
from typing import Any

import django


def die(**kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(how: str) -> None:
    django.setup()

    from django.core.signals import request_finished
    from django.db.models.signals import post_save
    from django.test import Client

    from clerk_sync.models import WebhookEvent

    if how == "die-before-commit":
        # The record of the event is the last statement before the commit.
        post_save.connect(die, sender=WebhookEvent)
    elif how == "die-before-answer":
        # The view has returned its answer, and nobody has it yet.
        request_finished.connect(die)
    message = json.load(sys.stdin)
    response = Client().post(
        "/webhooks/clerk/", data=message["body"], content_type="application/json", headers=message["headers"]
    )
    print(response.content.decode())


if __name__ == "__main__":
    main(sys.argv[1])
