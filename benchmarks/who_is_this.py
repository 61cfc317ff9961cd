"""What it costs to learn who one request is, beside the peers, through Django's whole handler.

    python tests/with_postgres.py python -m benchmarks.who_is_this [TURNS]

Each contestant is a process of its own with a database of its own on one PostgreSQL. All take turns at short batches of
the same tokens, and the ratios within a turn count, by their median: what else the machine does slows neighbours alike.
What counts is the contestant's own processor time; PostgreSQL's own, for the queries, is in what passed alone.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from uuid import uuid4

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from benchmarks.environment import peer_python
from benchmarks.figures import Figure, report
from benchmarks.serving import Message
from benchmarks.site import ROOT, Site
from tests.instance import ClerkInstance

TURNS = 40
BATCH = 50
CLAIMS = {
    "managerOSUserId": str(uuid4()),
    "organizationId": str(uuid4()),
    "organizationName": "Acme Engineering",
    "organizationSlug": "acme-engineering",
    "personId": str(uuid4()),
    "role": "admin",
}


@dataclass(frozen=True)
class Contestant:
    """`new_tokens`: each request brings a token that was not seen before, as the first of every minute does."""

    name: str
    kind: str
    new_tokens: bool = False
    peer: str | None = None
    minimum: tuple[int, int] = (3, 11)

    def command(self) -> list[str]:
        if self.peer is None:
            return [sys.executable, "-m", "benchmarks.who_is_this_site", self.kind]
        python = peer_python(self.peer, minimum=self.minimum)
        return [str(python), str(ROOT / "benchmarks" / "peers" / "who_is_this_site.py"), self.kind]


BARE = Contestant("a bare view", "bare")
OURS = Contestant("ManagerOS, a token seen before", "identified")
CONTESTANTS = (
    BARE,
    OURS,
    Contestant("ManagerOS, first sight of a token", "identified", new_tokens=True),
    Contestant("ManagerOS, claims out of date, a token seen before", "stale"),
    Contestant(
        "django-clerk-users, its session kept", "django_clerk_users_session",
        peer="django-clerk-users", minimum=(3, 12),
    ),
    Contestant(
        "django-clerk-users, first sight of a token", "django_clerk_users",
        new_tokens=True, peer="django-clerk-users", minimum=(3, 12),
    ),
    Contestant("clerk-backend-api, without a user's row", "clerk_backend_api", peer="clerk-backend-api"),
    Contestant("a bare view of Django REST framework", "bare_api"),
    Contestant("ManagerOS in it, a token seen before", "identified_api"),
    Contestant("ManagerOS in it, first sight of a token", "identified_api", new_tokens=True),
    Contestant("its SessionAuthentication", "session_api"),
    Contestant("simplejwt in it", "simplejwt", peer="djangorestframework-simplejwt"),
)  # fmt: skip


@dataclass
class Taken:
    """By one contestant: queries of a request; for each turn its processor's seconds of one, and those that passed."""

    queries: int = 0
    processor: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)


def main(turns: int = TURNS) -> int:
    if not os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        sys.exit("Run it with a PostgreSQL: python tests/with_postgres.py python -m benchmarks.who_is_this")
    clerk = ClerkInstance()
    with ExitStack() as stack:
        sites = {
            contestant: stack.enter_context(closing(site(contestant, number, clerk)))
            for number, contestant in enumerate(CONTESTANTS)
        }
        taken = measure(sites, clerk, turns)
    return report(list(figures(taken)))


def site(contestant: Contestant, number: int, clerk: ClerkInstance) -> Site:
    return Site(contestant.command(), f"bench_who_{number}", BENCHMARK_JWT_KEY=clerk.public_pem)


def measure(sites: dict[Contestant, Site], clerk: ClerkInstance, turns: int) -> dict[Contestant, Taken]:
    taken = {contestant: Taken() for contestant in sites}
    for turn in range(-1, turns):
        known, *new = (message(clerk) for _ in range(BATCH + 1))
        for contestant, site in sites.items():
            if not contestant.new_tokens:
                site.feed([known])
            took = site.feed(new if contestant.new_tokens else [known] * BATCH)
            if turn >= 0:  # the first warms up
                taken[contestant].processor.append(took["processor"] / BATCH)
                taken[contestant].passed.append(took["seconds"] / BATCH)
    for contestant, site in sites.items():
        taken[contestant].queries = site.feed([message(clerk) if contestant.new_tokens else known])["queries"]
    return taken


def message(clerk: ClerkInstance) -> Message:
    """A token such as Clerk's, which lives for a minute."""
    return {"token": clerk.token(claims=CLAIMS)}


def figures(taken: dict[Contestant, Taken]) -> Iterator[Figure]:
    """How many times as long a request takes as with the bare view. None has a bar."""
    for contestant, own in taken.items():
        rate, milliseconds = 1 / statistics.median(own.processor), statistics.median(own.passed) * 1000
        note = (
            f"{rate:.0f} a second and processor; {milliseconds:.2f} ms passed; {own.queries} queries; "
            f"÷ {OURS.name}: {ratio(own, taken[OURS]):.2f}{python_version(contestant)}"
        )
        yield Figure(f"{contestant.name} ÷ {BARE.name}", ratio(own, taken[BARE]), note=note)


def ratio(own: Taken, yard: Taken) -> float:
    """Of the processor's time for a request."""
    return statistics.median(mine / theirs for mine, theirs in zip(own.processor, yard.processor, strict=True))


def python_version(contestant: Contestant) -> str:
    """Said of a peer that has another Python than the benchmark."""
    asks = "import platform; print(platform.python_version())"
    answer = subprocess.check_output([contestant.command()[0], "-c", asks], text=True).strip()
    return "" if answer == sys.version.split()[0] else f"; Python {answer}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS))
