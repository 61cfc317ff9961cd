"""The doctor names each trouble, and the trouble is gone when its advice is followed."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from io import StringIO
from typing import Any

import pytest
import redis
import responses
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Organization, User
from clerk_sync.claims import SESSION_TOKEN_TEMPLATE
from clerk_sync.doctor.examination import examine
from clerk_sync.doctor.findings import Finding, Severity
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from clerk_sync.emulator.state import JWTTemplate
from clerk_sync.models import Activity, DeliveryState, MetadataSync, WebhookEvent
from clerk_sync.models.activity import EVER
from manageros.settings import cache as cache_config
from tests.accounts.factories import an_organization
from tests.clerk_sync.payloads import clerk_user, event
from tests.redis import RedisServer

pytestmark = pytest.mark.django_db

A_USER = json.dumps(event("user.created", clerk_user()))


@dataclass
class Site:
    """A site in order, at a local Clerk of its own, and what is needed to bring it into trouble."""

    settings: Settings
    running: RunningClerk
    other: RunningClerk
    redis: str  # its address

    @property
    def clerk(self) -> LocalClerk:
        return self.running.clerk

    def use(self, running: RunningClerk) -> None:
        instance = running.clerk.instance
        self.settings.CLERK_PUBLISHABLE_KEY = instance.publishable_key
        self.settings.CLERK_FRONTEND_API_URL = running.url
        self.settings.CLERK_SECRET_KEY = instance.secret_key
        self.settings.CLERK_API_URL = f"{running.url}/v1"
        self.settings.CLERK_WEBHOOK_SIGNING_SECRET = [instance.webhook_secret]

    def use_cache(self, url: str) -> None:
        self.settings.CACHES = {"default": cache_config(url)}


@pytest.fixture
def site(settings: Settings, redis_server: RedisServer) -> Iterator[Site]:
    with RunningClerk(LocalClerk(Instance())) as running, RunningClerk(LocalClerk(Instance())) as other:
        site = Site(settings, running, other, redis_server.url)
        site.use(running)
        use_a_cache_that_keeps(site)
        an_organization()
        queue_everybody(site)
        an_event()
        yield site
        use_a_cache_of_each_process(site)


def an_event(**fields: Any) -> WebhookEvent:
    defaults = {"svix_id": f"msg_{timezone.now().timestamp()}", "type": "user.updated", "payload": "{}"}
    outcome = {"outcome": WebhookEvent.Outcome.APPLIED, "processed_at": timezone.now()}
    event: WebhookEvent = WebhookEvent.objects.create(**(defaults | outcome | fields))
    return event


def found() -> dict[str, Finding]:
    """What is not in order."""
    return {finding.code: finding for finding in examine() if finding.severity > Severity.FINE}


Deed = Callable[[Site], Any]


def setting(name: str, value: Any) -> Deed:
    return lambda site: setattr(site.settings, name, value)


def copy_from_dashboard(site: Site) -> None:
    site.use(site.running)
    site.settings.CLERK_JWT_KEY = site.clerk.signer.public_pem


def key_of_another_instance(site: Site) -> None:
    site.settings.CLERK_JWT_KEY = LocalClerk(Instance()).signer.public_pem


def secret_key_of_another_instance(site: Site) -> None:
    """At Clerk one address answers for all instances: which it is, the secret key says."""
    site.settings.CLERK_SECRET_KEY = site.other.clerk.instance.secret_key
    site.settings.CLERK_API_URL = f"{site.other.url}/v1"


def stop_clerk(site: Site) -> None:
    site.running.stop()


def start_clerk(site: Site) -> None:
    site.running.start()


def use_a_cache_that_is_down(site: Site) -> None:
    site.use_cache("redis://127.0.0.1:1/0")


def use_a_cache_that_evicts(site: Site) -> None:
    with redis.from_url(site.redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")


def use_a_cache_that_keeps(site: Site) -> None:
    with redis.from_url(site.redis) as client:
        client.config_set("maxmemory-policy", "noeviction")
    site.use_cache(site.redis)


def use_a_cache_of_each_process(site: Site) -> None:
    site.use_cache("locmem://")


def let_a_change_wait(site: Site) -> None:
    MetadataSync.objects.update(state="pending", pending_since=timezone.now() - timedelta(minutes=20))


def let_a_delivery_fail(site: Site) -> None:
    MetadataSync.objects.update(state="failed", error="Clerk answered 422.")


def pause(site: Site) -> None:
    DeliveryState.objects.locked().refused("Clerk answered 401.")


def resume(site: Site) -> None:
    """As the worker does, with a key that works."""
    DeliveryState.objects.locked().resume()


def deliver(site: Site) -> None:
    MetadataSync.objects.update(state="synced", delivered_at=timezone.now(), confirmed_at=timezone.now())


def forget_who_is_queued(site: Site) -> None:
    MetadataSync.objects.all().delete()


def queue_everybody(site: Site) -> None:
    for user in User.objects.exclude(clerk_user_id=None).exclude(metadata_sync__isnull=False):
        MetadataSync.objects.create(clerk_user_id=user.clerk_user_id, user=user)
    deliver(site)


def receive_nothing(site: Site) -> None:
    WebhookEvent.objects.all().delete()


def miss_the_echo(site: Site) -> None:
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(hours=2))
    MetadataSync.objects.update(delivered_at=timezone.now() - timedelta(hours=1), confirmed_at=None)


def receive_nothing_for_long(site: Site) -> None:
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(days=9))
    MetadataSync.objects.update(confirmed_at=timezone.now() - timedelta(days=9))


def receive(site: Site) -> None:
    """An event arrives, as one does soon after the endpoint was put right."""
    an_event()


def fail_to_apply(site: Site) -> None:
    an_event(outcome="failed", processed_at=None, error="IntegrityError: a rule", payload=A_USER)


def replay(site: Site) -> None:
    call_command("replay_webhook_events", "--failed")


def bring_tokens_without_claims(site: Site) -> None:
    Activity.objects.add(Activity.Figure.FALLBACK, {"claims_not_configured": 12})


def make_a_template_instead(site: Site) -> None:
    template = JWTTemplate(name="manageros", claims=dict(SESSION_TOKEN_TEMPLATE), created_at=0, updated_at=0)
    site.clerk.store.templates[template.id] = template
    bring_tokens_without_claims(site)


def bring_numbers_for_text(site: Site) -> None:
    Activity.objects.add(Activity.Figure.FALLBACK, {"claims_invalid": 12})


def a_day_passes(site: Site) -> None:
    """The figures are of the last day: what was put right is out of them by then."""
    Activity.objects.filter(at__gt=EVER).update(at=F("at") - timedelta(days=2))


PEM = "-----BEGIN PUBLIC KEY-----\nbroken\n-----END PUBLIC KEY-----"
NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR

# code, severity, what brings the trouble about, what its advice says
TROUBLES: list[tuple[str, Severity, Deed, Deed]] = [
    ("clerk_sync.E001", ERROR, setting("CLERK_PUBLISHABLE_KEY", ""), copy_from_dashboard),
    ("clerk_sync.E002", ERROR, setting("CLERK_PUBLISHABLE_KEY", "pk_test_nonsense"), copy_from_dashboard),
    ("clerk_sync.E003", ERROR, setting("CLERK_SECRET_KEY", ""), copy_from_dashboard),
    ("clerk_sync.E005", ERROR, setting("CLERK_SECRET_KEY", "sk_live_of_another_kind"), copy_from_dashboard),
    ("clerk_sync.E006", ERROR, setting("CLERK_JWT_KEY", PEM), copy_from_dashboard),
    ("clerk_sync.E007", ERROR, setting("CLERK_WEBHOOK_SIGNING_SECRET", []), copy_from_dashboard),
    ("clerk_sync.E008", ERROR, setting("CLERK_WEBHOOK_SIGNING_SECRET", ["whsec_%%"]), copy_from_dashboard),
    ("clerk_sync.W002", WARNING, use_a_cache_of_each_process, use_a_cache_that_keeps),
    ("secret-key-refused", ERROR, setting("CLERK_SECRET_KEY", "sk_test_revoked"), copy_from_dashboard),
    ("keys-of-different-instances", ERROR, secret_key_of_another_instance, copy_from_dashboard),
    ("jwt-key-of-another-instance", ERROR, key_of_another_instance, copy_from_dashboard),
    ("jwks-unreachable", ERROR, stop_clerk, start_clerk),
    ("backend-api-unreachable", WARNING, stop_clerk, start_clerk),
    ("cache-unreachable", ERROR, use_a_cache_that_is_down, use_a_cache_that_keeps),
    ("cache-evicts", WARNING, use_a_cache_that_evicts, use_a_cache_that_keeps),
    ("sync-paused", ERROR, pause, resume),
    ("sync-late", WARNING, let_a_change_wait, deliver),
    ("sync-failed", WARNING, let_a_delivery_fail, deliver),
    ("users-never-synced", WARNING, forget_who_is_queued, queue_everybody),
    ("webhook-never-received", WARNING, receive_nothing, receive),
    ("webhook-silent", WARNING, miss_the_echo, receive),
    ("webhook-quiet", NOTE, receive_nothing_for_long, receive),
    ("webhook-failed", WARNING, fail_to_apply, replay),
    ("session-token-not-customized", WARNING, bring_tokens_without_claims, a_day_passes),
    ("only-jwt-template", WARNING, make_a_template_instead, a_day_passes),
    ("claims-invalid", WARNING, bring_numbers_for_text, a_day_passes),
]


def test_a_site_in_order_has_nothing_to_find(site: Site) -> None:
    assert found() == {}


@pytest.mark.parametrize(("code", "severity", "bring_about", "follow"), TROUBLES, ids=[row[0] for row in TROUBLES])
def test_each_trouble_is_named_and_gone_when_its_advice_is_followed(
    site: Site, code: str, severity: Severity, bring_about: Deed, follow: Deed
) -> None:
    bring_about(site)
    trouble = found()[code]
    follow(site)

    assert trouble.severity is severity
    assert trouble.fix
    assert code not in found()


@pytest.mark.sqlite  # PostgreSQL does not let raw SQL write a longer name than the model has
def test_claims_that_no_cookie_holds_are_named(site: Site) -> None:
    Organization.objects.update(name="<" * 300)

    assert found()["claims-too-large"].severity is ERROR

    Organization.objects.update(name="<" * 100)
    assert found() == {}


@pytest.mark.parametrize(("minutes", "where"), [(10, "behind"), (-10, "ahead of")])
def test_a_clock_that_is_off_is_named(site: Site, minutes: int, where: str) -> None:
    clerks_time = format_datetime(timezone.now() + timedelta(minutes=minutes), usegmt=True)
    url = f"{site.running.url}/.well-known/jwks.json"
    with responses.RequestsMock() as transport:
        transport.add_passthru(f"{site.running.url}/v1")
        transport.get(url, json=site.clerk.signer.jwks, headers={"Date": clerks_time})
        clock = found()["clock"]

    assert clock.severity is ERROR
    assert re.search(rf"\b(599|600|601) seconds {where} Clerk's", clock.text)
    assert "clock" not in found()


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_was_not_applied_is_named_and_nothing_is_read_from_its_tables(site: Site) -> None:
    recorder = MigrationRecorder(connection)
    latest = recorder.migration_qs.filter(app="clerk_sync").latest("pk")
    recorder.record_unapplied("clerk_sync", latest.name)
    try:
        assert found().keys() == {"migrations-missing"}
    finally:
        recorder.record_applied("clerk_sync", latest.name)


def run(*arguments: str) -> tuple[int, str]:
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("clerk_doctor", *arguments, stdout=output, no_color=True)
    return int(str(ended.value.code)), output.getvalue()


def test_command_exits_by_the_worst_finding(site: Site) -> None:
    codes = [run()[0]]
    let_a_change_wait(site)
    codes.append(run()[0])
    stop_clerk(site)
    codes.append(run()[0])

    assert codes == [0, 1, 3]


def test_command_says_what_is_wrong_and_what_to_do(site: Site) -> None:
    site.settings.CLERK_SECRET_KEY = "sk_test_revoked"

    _, output = run()

    assert "error    The Backend API refuses this site" in output
    assert "-> Take the publishable key, the secret key" in output
    assert "sk_test_revoked" not in output


def test_command_prints_json(site: Site) -> None:
    site.running.stop()

    code, output = run("--json")

    report = json.loads(output)
    assert (code, report["worst"]) == (3, "error")
    assert {"code", "severity", "text", "fix"} == report["findings"][0].keys()
