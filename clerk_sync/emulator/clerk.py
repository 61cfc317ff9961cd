"""One local Clerk: an instance, what it holds, and what it does of its own accord."""

from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from clerk_sync.emulator.errors import not_found
from clerk_sync.emulator.faults import Faults
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits, RateLimiter
from clerk_sync.emulator.saved import SavedState
from clerk_sync.emulator.state import Session
from clerk_sync.emulator.store import Store
from clerk_sync.emulator.tokens import AssembledClaims, Signer, signer
from clerk_sync.emulator.webhooks import RETRIES_AFTER, Webhooks

STAND_IN = Path(__file__).parent / "assets"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the Backend API, for whoever wants to know what the site asked. `body` is what it sent."""

    at: float
    method: str
    path: str
    status: int
    body: str


class LocalClerk:
    """`saved` names a file that keeps users, sessions and the signing key from one run to the next.

    `signing_key` is a PEM private key; without one a new one is made. `clerk_js` is the folder of the scripts that
    pages load as ClerkJS.
    """

    def __init__(
        self,
        instance: Instance,
        *,
        webhook_url: str | None = None,
        limits: Limits | None = None,
        retries_after: tuple[float, ...] = RETRIES_AFTER,
        saved: Path | None = None,
        signing_key: str | None = None,
        clerk_js: Path = STAND_IN,
    ) -> None:
        self.instance = instance
        self.limits = limits or (Limits.live() if instance.is_live else Limits())
        self.limiter = RateLimiter()
        self.faults = Faults()
        self.calls: deque[Call] = deque(maxlen=500)
        self.call_counts: Counter[str] = Counter()
        self.clerk_js = clerk_js
        self.handshakes: dict[str, list[str]] = {}
        self.kept_claims: dict[str, AssembledClaims] = {}
        state = SavedState.read(saved) if saved else None
        self.signer: Signer = signer(instance, state.signing_key if state else signing_key)
        if state:
            instance.id = state.instance_id
        self.webhooks = Webhooks(
            endpoint=webhook_url,
            secret=instance.webhook_secret,
            instance_id=instance.id,
            retries_after=retries_after,
        )
        self.store = Store(publish=self.webhooks.publish, session_lifetime=instance.session_lifetime)
        if saved:
            if state:
                state.restore(self.store)
            self.store.changed = lambda: SavedState.of(instance.id, self.signer, self.store).write(saved)

    def session_token(self, session: Session, *, origin: str | None = None, lifetime: int | None = None) -> str:
        """Minted now; its claims say what the user's public metadata holds now, or held when the edge read it."""
        with self.store.lock:
            session.last_active_at = self.store.now()
            claims = self.claims(session)
            return self.signer.session_token(session, claims, now=self.store.clock(), origin=origin, lifetime=lifetime)

    def claims(self, session: Session) -> AssembledClaims:
        now = self.store.clock()
        kept = self.kept_claims.get(session.id)
        if kept is None or now - kept.assembled_at >= self.instance.claims_kept_for:
            kept = self.signer.assembled(self.store.user(session.user_id), now=now)
            self.kept_claims[session.id] = kept
        return kept

    def template_token(self, name: str, session: Session, *, origin: str | None = None) -> str:
        with self.store.lock:
            template = next((each for each in self.store.templates.values() if each.name == name), None)
            if template is None:
                raise not_found("JWT template")
            user = self.store.user(session.user_id)
            return self.signer.template_token(template, user, now=self.store.clock(), origin=origin)

    def record(self, call: Call) -> None:
        self.calls.append(call)
        self.call_counts[f"{call.method} {call.path}"] += 1
