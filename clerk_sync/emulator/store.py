"""Everything an instance holds, and every change to it: each a method that also tells the webhooks, under one lock."""

import secrets
import threading
import time
from bisect import insort
from collections.abc import Callable, Mapping
from typing import Any

from clerk_sync.emulator import shapes
from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.errors import Refusal, not_found, parameter
from clerk_sync.emulator.metadata import check_size, merged
from clerk_sync.emulator.state import (
    Client,
    EmailAddress,
    Invitation,
    JWTTemplate,
    Session,
    SessionStatus,
    Ticket,
    User,
    new_id,
)

Event = Callable[[str, Json], None]


class Store:
    """`publish(type, data)` is called for each event, under the lock and in the order of the changes.

    `changed()` is called after each change. Whoever reads several records together holds `lock`.
    """

    def __init__(
        self,
        *,
        publish: Event,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        session_lifetime: int = 7 * 24 * 3600,
    ) -> None:
        self.lock = threading.RLock()
        self.publish = publish
        self.changed = changed
        self.clock = clock
        self.session_lifetime = session_lifetime  # seconds
        self.users: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        self.clients: dict[str, Client] = {}
        self.invitations: dict[str, Invitation] = {}
        self.tickets: dict[str, Ticket] = {}
        self.templates: dict[str, JWTTemplate] = {}
        self.user_id_by_email: dict[str, str] = {}
        self.by_creation: list[tuple[int, str]] = []  # (created_at, id) of every user, kept sorted

    def now(self) -> int:
        return int(self.clock() * 1000)

    def touch(self, user: User) -> None:
        """Later than before, always: Clerk orders the changes of one user by `updated_at`, and so do its readers."""
        user.updated_at = max(self.now(), user.updated_at + 1)

    # --- Users

    def user(self, user_id: str) -> User:
        try:
            return self.users[user_id]
        except KeyError:
            raise not_found("user") from None

    def user_by_email(self, address: str) -> User | None:
        user_id = self.user_id_by_email.get(address.lower())
        return self.users[user_id] if user_id else None

    def load(self, user: User) -> None:
        """Put a user in place as it is, telling nobody: for seeds and saved state."""
        self.users[user.id] = user
        insort(self.by_creation, (user.created_at, user.id))
        self.user_id_by_email |= {email.address.lower(): user.id for email in user.emails}

    def create_user(
        self,
        *,
        emails: list[tuple[str, bool]],
        created_at: int | None = None,
        user_id: str | None = None,
        **fields: Any,
    ) -> User:
        """`emails` are addresses and whether each is verified; the first is the primary one."""
        with self.lock:
            now = self.now()
            for address, _verified in emails:
                self.refuse_taken_email(address)
            self.refuse_taken(None, fields)
            user = User(
                id=user_id or new_id("user"),
                created_at=created_at if created_at is not None else now,
                updated_at=now,
                emails=[
                    EmailAddress(address=address, verified=verified, created_at=now, updated_at=now)
                    for address, verified in emails
                ],
                **fields,
            )
            user.primary_email_address_id = user.emails[0].id if user.emails else None
            self.load(user)
            self.publish("user.created", shapes.user(user))
            self.changed()
            return user

    def refuse_taken_email(self, address: str) -> None:
        if address.lower() in self.user_id_by_email:
            raise parameter("form_identifier_exists", "email_address", "That email address is taken")

    def refuse_taken(self, user: User | None, fields: Mapping[str, Any]) -> None:
        for name in ("username", "external_id"):
            value = fields.get(name)
            if value and any(getattr(other, name) == value for other in self.users.values() if other is not user):
                raise parameter("form_identifier_exists", name, f"That {name} is taken")

    def update_user(self, user_id: str, **fields: Any) -> User:
        with self.lock:
            user = self.user(user_id)
            self.refuse_taken(user, fields)
            self.by_creation.remove((user.created_at, user.id))
            for name, value in fields.items():
                setattr(user, name, value)
            insort(self.by_creation, (user.created_at, user.id))
            return self.user_updated(user)

    def user_updated(self, user: User) -> User:
        self.touch(user)
        self.publish("user.updated", shapes.user(user))
        self.changed()
        return user

    def add_email(self, user_id: str, address: str, *, verified: bool, primary: bool) -> EmailAddress:
        with self.lock:
            user = self.user(user_id)
            self.refuse_taken_email(address)
            now = self.now()
            email = EmailAddress(address=address, verified=verified, created_at=now, updated_at=now)
            user.emails.append(email)
            self.user_id_by_email[address.lower()] = user.id
            if primary or user.primary_email_address_id is None:
                user.primary_email_address_id = email.id
            self.user_updated(user)
            return email

    def remove_email(self, email_id: str) -> EmailAddress:
        with self.lock:
            user, email = self.email(email_id)
            user.emails.remove(email)
            del self.user_id_by_email[email.address.lower()]
            if user.primary_email_address_id == email.id:
                user.primary_email_address_id = user.emails[0].id if user.emails else None
            self.user_updated(user)
            return email

    def email(self, email_id: str) -> tuple[User, EmailAddress]:
        for user in self.users.values():
            for email in user.emails:
                if email.id == email_id:
                    return user, email
        raise not_found("email address")

    def merge_metadata(self, user_id: str, changes: Mapping[str, Mapping[str, Any]]) -> User:
        """Deep-merge each of the three kinds given; a null at any level removes that key."""
        with self.lock:
            user = self.user(user_id)
            self.write_metadata(user, {kind: merged(getattr(user, kind), change) for kind, change in changes.items()})
            return user

    def replace_metadata(self, user_id: str, values: Mapping[str, dict[str, Any]]) -> User:
        with self.lock:
            user = self.user(user_id)
            self.write_metadata(user, values)
            return user

    def write_metadata(self, user: User, values: Mapping[str, dict[str, Any]]) -> None:
        for kind, value in values.items():
            check_size(kind, value)
        for kind, value in values.items():
            setattr(user, kind, value)
        self.user_updated(user)

    def ban(self, user_id: str) -> User:
        with self.lock:
            user = self.user(user_id)
            user.banned = True
            self.user_updated(user)
            for session in self.active_sessions(user_id):
                self.end_session(session.id, "revoked")
            return user

    def delete_user(self, user_id: str) -> User:
        with self.lock:
            user = self.user(user_id)
            for session in self.active_sessions(user_id):
                self.end_session(session.id, "removed", silently=True)
            del self.users[user_id]
            self.by_creation.remove((user.created_at, user.id))
            for email in user.emails:
                del self.user_id_by_email[email.address.lower()]
            self.publish("user.deleted", shapes.deleted("user", user.id, external_id=user.external_id))
            self.changed()
            return user

    # --- Clients and sessions

    def create_client(self, token: str | None = None) -> Client:
        with self.lock:
            now = self.now()
            client = Client(token=token or f"dvb_{secrets.token_urlsafe(24)}", created_at=now, updated_at=now)
            self.clients[client.id] = client
            self.changed()
            return client

    def client_by_token(self, token: str | None) -> Client | None:
        with self.lock:
            return next((client for client in self.clients.values() if token and client.token == token), None)

    def session(self, session_id: str) -> Session:
        """Also notices that it expired: nothing else watches the time."""
        with self.lock:
            session = self.sessions.get(session_id)
            if session is None:
                raise not_found("session")
            if session.status == "active" and session.expire_at <= self.now():
                session.status = "expired"
            return session

    def active_sessions(self, user_id: str) -> list[Session]:
        with self.lock:
            mine = [session.id for session in self.sessions.values() if session.user_id == user_id]
            return [session for session in map(self.session, mine) if session.status == "active"]

    def active_session(self, client: Client) -> Session | None:
        """The session that this browser works in now."""
        with self.lock:
            session_id = client.last_active_session_id
            session = self.session(session_id) if session_id in self.sessions else None
            return session if session and session.status == "active" else None

    def sign_in(self, client: Client, user: User, *, actor: Json | None = None, lifetime: int | None = None) -> Session:
        """Start a session in this browser; one at a time, so another that was active there ends."""
        with self.lock:
            if user.banned:
                raise Refusal(403, "user_banned", "Your account has been banned")
            if user.locked:
                raise Refusal(403, "user_locked", "Your account is locked")
            if before := self.active_session(client):
                self.end_session(before.id, "removed")
            now = self.now()
            session = Session(
                user_id=user.id,
                client_id=client.id,
                created_at=now,
                updated_at=now,
                last_active_at=now,
                expire_at=now + (lifetime or self.session_lifetime) * 1000,
                actor=actor,
            )
            self.sessions[session.id] = session
            client.session_ids.append(session.id)
            client.last_active_session_id = session.id
            client.updated_at = now
            client.signed_at = now // 1000
            user.last_sign_in_at = user.last_active_at = now
            self.publish("session.created", shapes.session(session) | {"user": shapes.user(user)})
            self.changed()
            return session

    def end_session(self, session_id: str, status: SessionStatus, *, silently: bool = False) -> Session:
        with self.lock:
            session = self.session(session_id)
            if session.status != "active":
                return session
            session.status = status
            session.updated_at = self.now()
            client = self.clients.get(session.client_id)
            if client and client.last_active_session_id == session.id:
                client.last_active_session_id = None
                client.signed_at = 0
            if not silently:
                user = self.users[session.user_id]
                self.publish(f"session.{status}", shapes.session(session) | {"user": shapes.user(user)})
            self.changed()
            return session
