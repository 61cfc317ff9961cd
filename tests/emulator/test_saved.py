from pathlib import Path

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance


def test_saved_instance_returns_with_its_users_sessions_and_keys(tmp_path: Path) -> None:
    file = tmp_path / "clerk.json"
    first = LocalClerk(Instance(), saved=file)
    user = first.store.create_user(emails=[("mira@example.com", True)], public_metadata={"role": "admin"})
    client = first.store.create_client()
    session = first.store.sign_in(client, user)
    assert file.stat().st_mode & 0o077 == 0

    second = LocalClerk(Instance(), saved=file)
    assert second.instance.id == first.instance.id
    assert second.signer.jwks == first.signer.jwks
    assert second.store.user_by_email("mira@example.com") == user
    found = second.store.client_by_token(client.token)
    assert found is not None
    assert second.store.active_session(found) == session
