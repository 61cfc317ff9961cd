"""The settings of the tests, against the benchmark's own database and local Clerk."""

import os

from tests.settings import *  # noqa: F403

CLERK_API_URL = os.environ["BENCHMARK_CLERK_URL"]
CLERK_SECRET_KEY = os.environ["BENCHMARK_CLERK_KEY"]
CLERK_RATE_LIMIT = 1000
