"""How gunicorn runs the site. `GUNICORN_CMD_ARGS` overrules any of it."""

import os
import shutil
import tempfile
from typing import Any

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads let a worker answer while another of its requests waits for Clerk (a first sign-in, a refresh).
worker_class = "gthread"
threads = 8
# A request that waits for Clerk and the database both at their time-outs is still answered in this many seconds.
timeout = 45
# Slow leaks of any library end here; the jitter keeps workers from restarting together.
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112  a heartbeat file, not data

# Where the workers share their counters, so that /metrics tells of all of them whichever answers. It has to be known
# before a worker imports prometheus_client, and it has to be empty at the start.
metrics_folder = tempfile.mkdtemp(prefix="manageros-metrics-") if "PROMETHEUS_MULTIPROC_DIR" not in os.environ else ""
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", metrics_folder)


def on_exit(server: Any) -> None:
    if metrics_folder:
        shutil.rmtree(metrics_folder, ignore_errors=True)
