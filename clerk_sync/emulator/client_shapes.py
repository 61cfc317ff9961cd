"""How the Frontend API writes each record, to the browser that it belongs to."""

from clerk_sync.emulator import shapes
from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.state import Client, Session, SignIn, SignUp, User

PRIVATE = {"private_metadata", "locale", "bypass_client_trust", "create_organizations_limit"}
DAY = 24 * 3600 * 1000


def user(record: User) -> Json:
    body = {name: value for name, value in shapes.user(record).items() if name not in PRIVATE}
    return {**body, "organization_memberships": [], "password_last_updated_at": None}


def public_user_data(record: User) -> Json:
    email = record.primary_email
    return {
        "user_id": record.id,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "image_url": "https://img.clerk.com/local",
        "has_image": False,
        "identifier": email.address if email else record.username or record.id,
        "profile_image_url": "https://img.clerk.com/local",
    }


def session(clerk: LocalClerk, record: Session, *, origin: str | None) -> Json:
    """With a fresh token while it is active, so that a page need not ask twice."""
    owner = clerk.store.users.get(record.user_id)
    token = clerk.session_token(record, origin=origin) if record.status == "active" else None
    body = shapes.session(record)
    del body["user_id"], body["client_id"]
    body |= {
        "last_active_token": {"object": "token", "jwt": token} if token else None,
        "public_user_data": public_user_data(owner) if owner else None,
        "factor_verification_age": [max(0, (clerk.store.now() - record.created_at) // 60_000), -1],
        "tasks": None,
    }
    return {**body, "user": user(owner)} if owner else body


def client(clerk: LocalClerk, record: Client, *, origin: str | None) -> Json:
    sessions = [clerk.store.session(session_id) for session_id in record.session_ids]
    return {
        "object": "client",
        "id": record.id,
        "sessions": [session(clerk, each, origin=origin) for each in sessions if each.status == "active"],
        "sign_in": sign_in(clerk, record.sign_in) if record.sign_in else None,
        "sign_up": sign_up(record.sign_up) if record.sign_up else None,
        "last_active_session_id": record.last_active_session_id,
        "last_authentication_strategy": None,
        "cookie_expires_at": record.created_at + 365 * DAY,
        "captcha_bypass": True,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def sign_in(clerk: LocalClerk, record: SignIn) -> Json:
    owner = clerk.store.users.get(record.user_id or "")
    email = owner.primary_email if owner else None
    factors = [{"strategy": "ticket"}]
    if email:
        factors = [
            {
                "strategy": "email_code",
                "safe_identifier": email.address,
                "email_address_id": email.id,
                "primary": True,  # type: ignore[dict-item]
            }
        ]
    complete = record.created_session_id is not None
    verification = None
    if record.code_sent or complete:
        verification = code_verification("verified" if complete else "unverified", record.abandon_at)
    status = "complete" if complete else "needs_first_factor" if owner else "needs_identifier"
    return {
        "object": "sign_in_attempt",
        "id": record.id,
        "status": status,
        "supported_identifiers": ["email_address"],
        "supported_first_factors": factors if owner else None,
        "supported_second_factors": None,
        "first_factor_verification": verification,
        "second_factor_verification": None,
        "identifier": record.identifier,
        "user_data": {"first_name": owner.first_name, "last_name": owner.last_name, "has_image": False}
        if owner
        else None,
        "created_session_id": record.created_session_id,
        "abandon_at": record.abandon_at,
    }


def sign_up(record: SignUp) -> Json:
    complete = record.created_session_id is not None
    verification = code_verification("verified" if complete else "unverified", record.abandon_at)
    email = verification | {"next_action": "" if complete else "needs_attempt", "supported_strategies": ["email_code"]}
    return {
        "object": "sign_up_attempt",
        "id": record.id,
        "status": "complete" if complete else "missing_requirements",
        "required_fields": ["email_address"],
        "optional_fields": ["first_name", "last_name"],
        "missing_fields": [] if record.email_address else ["email_address"],
        "unverified_fields": [] if complete else ["email_address"],
        "verifications": {
            "email_address": email if record.email_address else None,
            "phone_number": None,
            "web3_wallet": None,
            "external_account": None,
        },
        "username": None,
        "email_address": record.email_address,
        "phone_number": None,
        "web3_wallet": None,
        "password_enabled": False,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "unsafe_metadata": {},
        "public_metadata": {},
        "custom_action": False,
        "external_id": None,
        "created_session_id": record.created_session_id,
        "created_user_id": record.created_user_id,
        "abandon_at": record.abandon_at,
        "legal_accepted_at": None,
    }


def code_verification(status: str, abandon_at: int) -> Json:
    return {
        "object": "verification_otp",
        "status": status,
        "strategy": "email_code",
        "attempts": 0,
        "expire_at": abandon_at,
    }
