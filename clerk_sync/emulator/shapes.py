"""How the Backend API writes each record; the published schemas allow no other members."""

from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.state import Client, EmailAddress, Invitation, JWTTemplate, Session, Ticket, User


def email_address(email: EmailAddress) -> Json:
    status = {"status": "verified" if email.verified else "unverified"}
    return {
        "id": email.id,
        "object": "email_address",
        "email_address": email.address,
        "reserved": False,
        "verification": {
            "object": "verification_otp",
            **status,
            "strategy": "email_code",
            "attempts": 1,
            "expire_at": email.created_at + 600_000,
        },
        "linked_to": [],
        "matches_sso_connection": False,
        "created_at": email.created_at,
        "updated_at": email.updated_at,
    }


def user(record: User) -> Json:
    return {
        "id": record.id,
        "object": "user",
        "external_id": record.external_id,
        "primary_email_address_id": record.primary_email_address_id,
        "primary_phone_number_id": None,
        "primary_web3_wallet_id": None,
        "username": record.username,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "locale": record.locale,
        "profile_image_url": "https://img.clerk.com/local",
        "image_url": "https://img.clerk.com/local",
        "has_image": False,
        "public_metadata": record.public_metadata,
        "private_metadata": record.private_metadata,
        "unsafe_metadata": record.unsafe_metadata,
        "email_addresses": [email_address(email) for email in record.emails],
        "phone_numbers": [],
        "web3_wallets": [],
        "passkeys": [],
        "password_enabled": record.password_enabled,
        "two_factor_enabled": False,
        "totp_enabled": False,
        "backup_code_enabled": False,
        "mfa_enabled_at": None,
        "mfa_disabled_at": None,
        "external_accounts": [],
        "saml_accounts": [],
        "enterprise_accounts": [],
        "last_sign_in_at": record.last_sign_in_at,
        "banned": record.banned,
        "locked": record.locked,
        "deprovisioned": False,
        "lockout_expires_in_seconds": None,
        "verification_attempts_remaining": 100,
        "updated_at": record.updated_at,
        "created_at": record.created_at,
        "delete_self_enabled": record.delete_self_enabled,
        "create_organization_enabled": record.create_organization_enabled,
        "create_organizations_limit": None,
        "last_active_at": record.last_active_at,
        "legal_accepted_at": record.legal_accepted_at,
        "bypass_client_trust": False,
    }


def deleted(kind: str, record_id: str, *, external_id: str | None = None) -> Json:
    body: Json = {"object": kind, "id": record_id, "deleted": True}
    return body if external_id is None else {**body, "external_id": external_id}


def session(record: Session) -> Json:
    return {
        "object": "session",
        "id": record.id,
        "user_id": record.user_id,
        "client_id": record.client_id,
        "actor": record.actor,
        "status": record.status,
        "last_active_organization_id": None,
        "last_active_at": record.last_active_at,
        "expire_at": record.expire_at,
        "abandon_at": record.expire_at + 30 * 24 * 3600 * 1000,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def client(record: Client, sessions: list[Session]) -> Json:
    return {
        "object": "client",
        "id": record.id,
        "session_ids": [each.id for each in sessions],
        "sessions": [session(each) for each in sessions],
        "sign_in_id": record.sign_in.id if record.sign_in else None,
        "sign_up_id": record.sign_up.id if record.sign_up else None,
        "last_active_session_id": record.last_active_session_id,
        "last_authentication_strategy": None,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def invitation(record: Invitation, *, url: str) -> Json:
    return {
        "object": "invitation",
        "id": record.id,
        "email_address": record.email_address,
        "public_metadata": record.public_metadata,
        "revoked": record.status == "revoked",
        "status": record.status,
        "url": url,
        "expires_at": record.expires_at,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def ticket(record: Ticket, *, url: str) -> Json:
    kind = "actor_token" if record.actor else "sign_in_token"
    body: Json = {
        "object": kind,
        "id": record.id,
        "status": record.status,
        "user_id": record.user_id,
        "token": record.token,
        "url": url,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
    return {**body, "actor": record.actor} if record.actor else body


def jwt_template(record: JWTTemplate) -> Json:
    return {
        "object": "jwt_template",
        "id": record.id,
        "name": record.name,
        "claims": record.claims,
        "lifetime": record.lifetime,
        "allowed_clock_skew": record.allowed_clock_skew,
        "custom_signing_key": False,
        "signing_algorithm": "RS256",
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
