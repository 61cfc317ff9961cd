"""The site as it is deployed, on the database and the secret of a benchmark. DEBUG is off, and logging is quiet."""

import os

os.environ["LOG_LEVEL"] = "WARNING"

from tests.settings import *  # noqa: F403

CLERK_WEBHOOK_SIGNING_SECRET = [os.environ["BENCHMARK_WEBHOOK_SECRET"]]
