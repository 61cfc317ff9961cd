"""The demo: a local Clerk, a worker and the site as processes of their own, started together and ended together."""

import base64
import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from clerk_sync.emulator.instance import publishable_key
from clerk_sync.emulator.ports import free_port
from clerk_sync.emulator.processes import DemoError, Processes, ending_by_signal
from clerk_sync.emulator.seed import ADMIN_EMAIL, ADMIN_PASSWORD


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Made once, and kept with the demo's data: sessions and signatures outlive a run."""

    django: str = field(default_factory=lambda: secrets.token_urlsafe(50))
    clerk: str = field(default_factory=lambda: f"sk_test_{secrets.token_urlsafe(24)}")
    webhook: str = field(default_factory=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}")

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        if path.exists():
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        made = cls()
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(made)), encoding="utf-8")
        return made


@dataclass(kw_only=True)
class Demo:
    """`folder` keeps all data. `database_url` is for tests; by default a SQLite file in the folder."""

    folder: Path
    say: Callable[[str], object]
    site_port: int = 8000
    clerk_port: int = 8001
    database_url: str = ""
    token_lifetime: int = 60  # seconds

    def run(self) -> None:
        """Until a signal. Raises DemoError where a part of it does not start, or ends by itself."""
        stopping = threading.Event()
        with only_one(self.folder), ending_by_signal(stopping):
            self.choose_ports()
            processes = Processes(folder=self.folder, environment=self.environment(), stopping=stopping)
            try:
                self.start(processes)
                if not stopping.is_set():
                    self.announce()
                while not stopping.wait(0.2):
                    processes.require_all_running()
            finally:
                processes.stop()

    def choose_ports(self) -> None:
        site = free_port(self.site_port)
        clerk = free_port(self.clerk_port, besides=frozenset({site}))
        for name, wanted, found in (("site", self.site_port, site), ("local Clerk", self.clerk_port, clerk)):
            if wanted != found:
                self.say(f"Port {wanted} is taken: the {name} uses {found} instead.")
        self.site_port, self.clerk_port = site, clerk

    @property
    def site_url(self) -> str:
        """Not 127.0.0.1 like the local Clerk's: two hosts, so that no cookie is shared that Clerk would not share."""
        return f"http://localhost:{self.site_port}"

    @property
    def clerk_url(self) -> str:
        return f"http://127.0.0.1:{self.clerk_port}"

    def environment(self) -> dict[str, str]:
        """Of every process. What the shell says of Django and Clerk stays out: a real key least of all gets in."""
        kept = Secrets.kept_in(self.folder / "secrets.json")
        ours = {
            "CLERK_API_URL": f"{self.clerk_url}/v1",
            "CLERK_AUTHORIZED_PARTIES": self.site_url,
            "CLERK_FRONTEND_API_URL": self.clerk_url,
            "CLERK_PUBLISHABLE_KEY": publishable_key("test", f"127.0.0.1:{self.clerk_port}"),
            "CLERK_SECRET_KEY": kept.clerk,
            "CLERK_WEBHOOK_SIGNING_SECRET": kept.webhook,
            "CACHE_URL": f"file://{self.folder.resolve() / 'cache'}",
            "DATABASE_URL": self.database_url or f"sqlite:///{self.folder.resolve() / 'db.sqlite3'}",
            "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DJANGO_DEBUG": "true",
            "DJANGO_SECRET_KEY": kept.django,
            "DJANGO_SETTINGS_MODULE": "manageros.settings",
            "PYTHONUNBUFFERED": "1",
        }
        foreign = ("CLERK_", "DJANGO_", "CACHE_", "DATABASE_", "TASKS_")
        return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | ours

    def start(self, processes: Processes) -> None:
        processes.run("seed", "seed_demo")
        webhook_url = f"http://127.0.0.1:{self.site_port}/webhooks/clerk/"
        clerk = ["--port", str(self.clerk_port), "--site", self.site_url, "--webhook-url", webhook_url, "--seed"]
        clerk += ["--saved", str(self.folder / "clerk.json"), "--token-lifetime", str(self.token_lifetime)]
        processes.spawn("local Clerk", "local_clerk", *clerk)
        processes.spawn("worker", "db_worker", "--no-reload", "--no-startup-delay", "--interval", "0.2")
        processes.spawn("site", "runserver", "--noreload", f"127.0.0.1:{self.site_port}")
        processes.wait_until_answering(f"{self.clerk_url}/.well-known/jwks.json")
        processes.wait_until_answering(f"http://127.0.0.1:{self.site_port}/healthz")

    def announce(self) -> None:
        self.say(f"ManagerOS is at {self.site_url}/")
        self.say(f"Its admin is at {self.site_url}/admin/ ({ADMIN_EMAIL}, password {ADMIN_PASSWORD}).")
        self.say(f"The local Clerk is at {self.clerk_url}/, data and logs are in {self.folder}. Ctrl-C ends it all.")


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Two demos on the same data would each overwrite the other's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"A demo is running on {folder} already: end it with Ctrl-C where it runs.") from None
        yield


def reset(folder: Path) -> None:
    if folder.exists():
        with only_one(folder):
            shutil.rmtree(folder)
