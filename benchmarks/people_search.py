"""What searching the directory costs beside a request that needs the identity alone, with 100,000 people.

    python tests/with_postgres.py --trigrams python -m benchmarks.people_search [PEOPLE]

Both kinds of request go through the whole site in this process, by bearer token, and take turns.
"""

import os
import statistics
import sys
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["LOG_LEVEL"] = "WARNING"

import django

django.setup()

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.runner import DiscoverRunner

from accounts.models import Organization, Person, User
from benchmarks.figures import Figure, report
from tests.instance import ClerkInstance

ROUNDS = 300
# A rare name, a common word, two words, a part of a word, an address, and what nobody is called.
SEARCHES = ["person 777", "engineer", "director 5", "ngine", "person4242@example.com", "nobody at all"]
FIRST, TITLES = ["Mira", "Otto", "Lena", "Tomas", "Nadia"], ["Engineer", "Designer", "Engineering Director", "Analyst"]


def main(people: int) -> int:
    if connection.vendor != "postgresql":
        sys.exit("Run it with a PostgreSQL: python tests/with_postgres.py python -m benchmarks.people_search")
    clerk = ClerkInstance()
    settings.CLERK_JWT_KEY = clerk.public_pem
    settings.API_REQUESTS_PER_MINUTE = 10**9
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        seed(people)
        token = clerk.token("user_owner", exp=int(time.time()) + 3600)
        return report(measure(Client(headers={"authorization": f"Bearer {token}"}), people))
    finally:
        runner.teardown_databases(databases)


def seed(people: int) -> None:
    owner = User.objects.create(clerk_user_id="user_owner", email="owner@example.com")
    organization = Organization.objects.create_with_owner(name="Acme", owner=owner)
    rows = (
        Person(
            organization=organization,
            name=f"{FIRST[number % 5]} Person {number}",
            email=f"person{number}@example.com",
            title=TITLES[number % 4],
        )
        for number in range(people)
    )
    Person.objects.bulk_create(rows, 5000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE accounts_person")


def measure(client: Client, people: int) -> list[Figure]:
    mine, searches = [], []
    for number in range(ROUNDS):
        mine.append(seconds(client, "/api/v1/me/", {}))
        searches.append(seconds(client, "/api/v1/people/", {"search": SEARCHES[number % len(SEARCHES)]}))
    ratio = p95(searches) / p95(mine)
    index = "with its trigram index" if is_indexed() else "without a trigram index: the server has no pg_trgm"
    note = f"{p95(searches) * 1000:.1f} ms to {p95(mine) * 1000:.1f} ms, {index}"
    return [Figure(f"search of {people} people: p95 by that of /me/", ratio, at_most=5, note=note)]


def is_indexed() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_indexes WHERE indexname = 'person_search'")
        return cursor.fetchone() is not None


def seconds(client: Client, path: str, query: dict[str, str]) -> float:
    started = time.perf_counter()
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return time.perf_counter() - started


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
