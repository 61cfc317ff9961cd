"""One measurement for benchmarks.sync_marking, in a process of its own: `all`, `iterator` or `idle`.

Prints its seconds, its peak memory in MB, and how many rows it marked.
"""

import contextlib
import json
import os
import resource
import sys
import time
from io import StringIO

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from django.core.management import call_command
from django.db import connection

from accounts.models import User


def main(what: str) -> None:
    connection.settings_dict["NAME"] = os.environ["BENCHMARK_DATABASE"]
    User.objects.first()
    marked = 0
    started = time.perf_counter()
    if what == "all":
        out = StringIO()
        with contextlib.suppress(SystemExit):  # rows are left waiting where some were marked; the figure tells
            call_command("sync_clerk_metadata", "--all", "--json", stdout=out)
        marked = json.loads(out.getvalue())["out_of_step"]
    elif what == "iterator":
        for _ in User.objects.iterator():
            pass
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory, "marked": marked}))


if __name__ == "__main__":
    main(sys.argv[1])
