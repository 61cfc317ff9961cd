"""Clerk's Python SDK at work: run by a Python that has it, with the local Clerk's address and keys on standard input.

Prints one JSON object, which test_clients.py judges.
"""

import json
import sys
from typing import Any

import httpx
from clerk_backend_api import Clerk, models
from clerk_backend_api.security import authenticate_request, verify_token
from clerk_backend_api.security.types import AuthenticateRequestOptions, VerifyTokenOptions


def main(clerk: dict[str, str]) -> dict[str, Any]:
    with Clerk(bearer_auth=clerk["secret_key"], server_url=f"{clerk['url']}/v1") as client:
        created = client.users.create(email_address=["nell@example.com"], public_metadata={"theirs": 1, "gone": 2})
        merged = client.users.update_metadata(user_id=created.id, public_metadata={"role": "admin", "gone": None})
        client.users.update(user_id=created.id, last_name="Arden")
        read = client.users.get(user_id=created.id)
        session = client.sessions.create(request={"user_id": created.id})
        token = client.sessions.create_token(session_id=session.id).jwt
        by_jwks = VerifyTokenOptions(secret_key=clerk["secret_key"], api_url=clerk["url"])
        revoked = client.sessions.revoke(session_id=session.id)
        invitation = client.invitations.create(request={"email_address": "wren@example.com"})
        actor = client.actor_tokens.create(
            request={"user_id": created.id, "actor": {"sub": "user_support"}, "expires_in_seconds": 60}
        )
        try:
            client.users.get(user_id="user_nobody")
            refusal = ""
        except models.ClerkErrors as errors:
            refusal = errors.data.errors[0].code
        return {
            "listed": [user.id for user in client.users.list(request={"limit": 500})] == [created.id],
            "count": client.users.count().total_count,
            "merged": merged.public_metadata,
            "name": read.last_name,
            "state": signed_in(token, clerk["jwt_key"]),
            "forged": signed_in(token[:-8] + "AAAAAAAA", clerk["jwt_key"]),
            "claims": verify_token(token, by_jwks)["role"],
            "revoked": revoked.status,
            "banned": client.users.ban(user_id=created.id).banned,
            "invitation": invitation.status,
            "actor": actor.status,
            "refusal": refusal,
            "deleted": client.users.delete(user_id=created.id).deleted,
        }


def signed_in(token: str, jwt_key: str) -> str:
    request = httpx.Request("GET", "http://localhost/", headers={"Authorization": f"Bearer {token}"})
    return str(authenticate_request(request, AuthenticateRequestOptions(jwt_key=jwt_key)).status.value)


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
