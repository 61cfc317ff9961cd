"""All examinations, in the order in which one trouble explains the next."""

from collections.abc import Callable, Iterator

from clerk_sync.doctor.claims import examine_claims, examine_size
from clerk_sync.doctor.configuration import examine_cache, examine_database, examine_settings
from clerk_sync.doctor.deliveries import examine_deliveries
from clerk_sync.doctor.events import examine_events
from clerk_sync.doctor.findings import Finding, Severity
from clerk_sync.doctor.keys import examine_keys

Examination = Callable[[], Iterator[Finding]]

BEFORE_THE_DATABASE: tuple[Examination, ...] = (examine_settings, examine_keys, examine_cache)
IN_THE_DATABASE: tuple[Examination, ...] = (examine_deliveries, examine_events, examine_claims, examine_size)


def examine() -> Iterator[Finding]:
    for examination in BEFORE_THE_DATABASE:
        yield from examination()
    reachable = True
    for finding in examine_database():
        reachable = reachable and finding.severity < Severity.ERROR
        yield finding
    if reachable:
        for examination in IN_THE_DATABASE:
            yield from examination()
