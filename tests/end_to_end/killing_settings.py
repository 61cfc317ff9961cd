"""The settings of the tests, against a local Clerk and a database of its own: for processes that are killed."""

import os

from tests.settings import *  # noqa: F403

CLERK_API_URL = os.environ["KILLING_CLERK_URL"]
CLERK_SECRET_KEY = os.environ["KILLING_CLERK_KEY"]
CLERK_SYNC_TIMEOUT = float(os.environ["KILLING_TIMEOUT"])
CLERK_RATE_LIMIT = 5000
