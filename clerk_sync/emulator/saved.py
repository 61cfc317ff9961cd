"""The state of an instance as one JSON file, so that a demo finds its users again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clerk_sync.emulator.state import Client, EmailAddress, Invitation, JWTTemplate, Session, SignIn, SignUp, User
from clerk_sync.emulator.store import Store
from clerk_sync.emulator.tokens import Signer


@dataclass(frozen=True, kw_only=True)
class SavedState:
    instance_id: str
    signing_key: str
    records: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, instance_id: str, signer: Signer, store: Store) -> "SavedState":
        kinds: dict[str, dict[str, Any]] = {
            "users": store.users,
            "sessions": store.sessions,
            "clients": store.clients,
            "invitations": store.invitations,
            "templates": store.templates,
        }
        records = {name: [asdict(record) for record in kind.values()] for name, kind in kinds.items()}
        return cls(instance_id=instance_id, signing_key=signer.private_pem, records=records)

    @classmethod
    def read(cls, path: Path) -> "SavedState | None":
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def write(self, path: Path) -> None:
        """Whole or not at all: a run that is killed here leaves the former state."""
        draft = path.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    def restore(self, store: Store) -> None:
        for record in self.records["users"]:
            emails = [EmailAddress(**email) for email in record["emails"]]
            store.load(User(**{**record, "emails": emails}))
        for record in self.records["clients"]:
            sign_in = SignIn(**record["sign_in"]) if record["sign_in"] else None
            sign_up = SignUp(**record["sign_up"]) if record["sign_up"] else None
            client = Client(**{**record, "sign_in": sign_in, "sign_up": sign_up})
            store.clients[client.id] = client
        sessions = [Session(**record) for record in self.records["sessions"]]
        store.sessions = {session.id: session for session in sessions}
        invitations = [Invitation(**record) for record in self.records["invitations"]]
        store.invitations = {invitation.id: invitation for invitation in invitations}
        templates = [JWTTemplate(**record) for record in self.records["templates"]]
        store.templates = {template.id: template for template in templates}
