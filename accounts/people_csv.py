"""People as a CSV file, out and in.

A line's email address says who it is about: somebody who is there already is updated, anybody else is added. Lines may
name managers who come later in the file. Nothing is written unless every line is right.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Change, Organization, Person
from accounts.models.change import change

COLUMNS = ["name", "email", "title", "manager_email", "status"]
# Bytes and lines: what one request can check and write in a few seconds.
MAX_SIZE = 2_000_000
MAX_LINES = 10_000
# A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class Line:
    number: int
    person: Person
    manager_email: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        return self.person._state.adding


@dataclass
class Import:
    """What a file would do. `problem` is what is wrong with the file as a whole."""

    lines: list[Line] = field(default_factory=list)
    problem: str = ""

    @property
    def is_valid(self) -> bool:
        return not self.problem and bool(self.lines) and not any(line.errors for line in self.lines)

    @property
    def added(self) -> int:
        return sum(line.is_new for line in self.lines)

    @property
    def summary(self) -> str:
        return f"{self.added} added, {len(self.lines) - self.added} updated"

    def apply(self) -> None:
        """Write every line, or none. Raises ValidationError where a rule refuses a line after all."""
        summary = self.summary
        with transaction.atomic():
            new = [line.person for line in self.lines if line.is_new]
            Person.objects.bulk_create(new, batch_size=1000)
            known = [line.person for line in self.lines if not line.is_new]
            Person.objects.bulk_update(known, ["name", "title", "status", "manager"], batch_size=1000)
            organization_id = self.lines[0].person.organization_id
            people = f"{len(self.lines)} {'person' if len(self.lines) == 1 else 'people'}"
            Change.objects.record([change(organization_id, Change.Kind.IMPORTED, people, summary)])


def read(text: str, organization: Organization) -> Import:
    """Parse and check a file; queries do not grow with its length."""
    if "\0" in text:
        return Import(problem="The file holds a NUL character, which no text of the directory can.")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restkey="more")
    try:
        rows = list(reader)
    except csv.Error as error:
        return Import(problem=f"This is no CSV file: {error}.")
    if missing := {"name", "email"} - set(reader.fieldnames or []):
        return Import(problem=f"The first line must name the columns; {' and '.join(sorted(missing))} is missing.")
    if len(rows) > MAX_LINES:
        return Import(problem=f"The file has {len(rows)} lines; {MAX_LINES} can be imported at once.")
    everybody = list(organization.people.defer("search_text"))
    people = {person.email.lower(): person for person in everybody if person.email}
    lines = [
        read_line(number, {name: (value or "").strip() for name, value in row.items() if name in COLUMNS}, people)
        for number, row in enumerate(rows, start=2)
    ]
    for line in lines:
        line.person.organization = organization
    set_managers(lines, people)
    refuse_circles(lines, everybody)
    for line in lines:
        check_fields(line)
    times = Counter(line.person.email.lower() for line in lines if line.person.email)
    for line in lines:
        if times[line.person.email.lower()] > 1:
            line.errors.append("This email address stands in the file more than once.")
    return Import(lines)


def read_line(number: int, row: dict[str, str], people: dict[str, Person]) -> Line:
    email = unguarded(row.get("email", ""))
    person = people.get(email.lower()) if email else None
    person = person or Person(email=email)
    person.name = unguarded(row.get("name", ""))
    if "title" in row:
        person.title = unguarded(row["title"])
    if row.get("status"):
        person.status = row["status"].lower()
    return Line(number, person, unguarded(row.get("manager_email", "")))


def set_managers(lines: Iterable[Line], people: dict[str, Person]) -> None:
    """Find each line's manager among those of the organization and of the file itself."""
    named = people | {line.person.email.lower(): line.person for line in lines if line.person.email}
    for line in lines:
        if line.manager_email:
            line.person.manager = named.get(line.manager_email.lower())
            if line.person.manager is None:
                line.errors.append(f"There is no {line.manager_email} to report to, here or in this file.")
        elif not line.is_new:
            line.person.manager = None


def refuse_circles(lines: Iterable[Line], everybody: Iterable[Person]) -> None:
    """Each person is walked past once: above whoever was met before there is nothing new to find."""
    managers = {person.pk: person.manager_id for person in [*everybody, *(line.person for line in lines)]}
    circling: set[UUID] = set()
    met: set[UUID] = set()
    for line in lines:
        walked: list[UUID] = []
        above: UUID | None = line.person.pk
        while above in managers and above not in met:
            met.add(above)
            walked.append(above)
            above = managers[above]
        if above in walked:
            circling.update(walked[walked.index(above) :])
    for line in lines:
        if line.person.pk in circling:
            line.errors.append("This reporting line is a circle: nobody is above themselves.")


def check_fields(line: Line) -> None:
    try:
        line.person.clean_fields(exclude=["user", "manager", "organization", "search_text"])
    except ValidationError as error:
        line.errors += [f"{name}: {message}" for name, told in error.message_dict.items() for message in told]


def write(people: QuerySet[Person]) -> Iterator[str]:
    """The lines of a file, one by one, in memory that does not grow with their number."""
    # Every value in quotes: a spreadsheet that separates by semicolons would else take what follows one for a formula.
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(COLUMNS)
    rows = people.values_list("name", "email", "title", "manager__email", "status")
    for row in rows.iterator(chunk_size=2000):
        yield writer.writerow([guarded(value or "") for value in row])


class Echo:
    """A file that gives back what is written to it."""

    def write(self, value: str) -> str:
        return value


def guarded(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def unguarded(value: str) -> str:
    return value[1:] if value.startswith("'") and value[1:].startswith(FORMULA_STARTS) else value
