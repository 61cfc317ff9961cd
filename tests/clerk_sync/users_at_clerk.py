"""Users as Clerk has them, and the events it sends of them: the reference that the mirror is compared with."""

from dataclasses import dataclass, field
from typing import Any

from tests.clerk_sync.payloads import NOW, clerk_user, deletion, email_address, event


@dataclass
class UserAtClerk:
    id: str
    first_name: str
    email: str | None = None
    is_verified: bool = True
    banned: bool = False
    locked: bool = False
    deleted: bool = False

    @property
    def verified_email(self) -> str | None:
        return self.email.lower() if self.email and self.is_verified and not self.deleted else None


@dataclass
class Clerk:
    """Changes users one at a time, by a clock that moves with each change, and keeps an event of every change."""

    now: int = NOW
    users: dict[str, UserAtClerk] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def alive(self) -> list[UserAtClerk]:
        return [user for user in self.users.values() if not user.deleted]

    def sign_up(self, first_name: str) -> UserAtClerk:
        user = UserAtClerk(f"user_{len(self.users)}", first_name)
        self.users[user.id] = user
        self._tell(user, "user.created")
        return user

    def change(self, user: UserAtClerk, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(user, name, value)
        self._tell(user, "user.updated")

    def set_email(self, user: UserAtClerk, email: str | None, *, is_verified: bool = True) -> None:
        """Clerk lets one user alone verify an address: whoever had it has to let it go first."""
        for other in self.alive:
            if other is not user and is_verified and email and (other.verified_email == email.lower()):
                self.change(other, email=None)
        self.change(user, email=email, is_verified=is_verified)

    def delete(self, user: UserAtClerk) -> None:
        user.deleted = True
        self.now += 1
        # Seconds every other time, as Clerk's examples have them, milliseconds as its documentation says.
        self.events.append(deletion(user.id, at=self.now if self.now % 2 else self.now // 1000))

    def payload(self, user: UserAtClerk) -> dict[str, Any]:
        """The user as the Backend API would answer now."""
        addresses = [email_address("other@example.com", status="unverified", id="idn_0")]
        if user.email:
            status = "verified" if user.is_verified else "unverified"
            addresses.append(email_address(user.email, status=status))
        return clerk_user(
            user.id,
            updated_at=self.now,
            first_name=user.first_name,
            last_name=None,
            email_addresses=addresses,
            primary_email_address_id="idn_1" if user.email else None,
            banned=user.banned,
            locked=user.locked,
        )

    def _tell(self, user: UserAtClerk, event_type: str) -> None:
        self.now += 1
        self.events.append(event(event_type, self.payload(user), at=self.now))
