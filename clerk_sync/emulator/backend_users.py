"""The Backend API's users: https://clerk.com/docs/reference/backend-api/tag/users"""

from datetime import datetime

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import shapes
from clerk_sync.emulator.answers import Json, json_response
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import parameter
from clerk_sync.emulator.fields import FLAG, TEXT, WHOLE, json_body, metadata
from clerk_sync.emulator.metadata import KINDS
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.user_list import matching_users, page_of_users
from clerk_sync.emulator.versions import api_version

METADATA = dict.fromkeys(KINDS, (dict,))
# Fields that Clerk takes and that change nothing anyone here can see.
ACCEPTED = {
    "backup_codes": (list,),
    "bypass_client_trust": FLAG,
    "create_organizations_limit": WHOLE,
    "password_digest": TEXT,
    "password_hasher": TEXT,
    "skip_legal_checks": FLAG,
    "skip_password_checks": FLAG,
    "totp_secret": TEXT,
}
PROFILE = {
    "external_id": TEXT,
    "first_name": TEXT,
    "last_name": TEXT,
    "locale": TEXT,
    "username": TEXT,
    "delete_self_enabled": FLAG,
    "create_organization_enabled": FLAG,
}
CREATE = {
    **ACCEPTED,
    **PROFILE,
    **METADATA,
    "banned": FLAG,
    "created_at": TEXT,
    "email_address": (list,),
    "email_address_identification_status": (list,),
    "legal_accepted_at": TEXT,
    "locked": FLAG,
    "password": TEXT,
    "phone_number": (list,),
    "skip_password_requirement": FLAG,
    "skip_user_requirement": FLAG,
    "web3_wallet": (list,),
}
UPDATE = {
    **ACCEPTED,
    **PROFILE,
    "created_at": TEXT,
    "legal_accepted_at": TEXT,
    "notify_primary_email_address_changed": FLAG,
    "password": TEXT,
    "primary_email_address_id": TEXT,
    "primary_phone_number_id": TEXT,
    "primary_web3_wallet_id": TEXT,
    "profile_image_id": TEXT,
    "sign_out_of_other_sessions": FLAG,
}
# https://clerk.com/docs/guides/development/upgrading/upgrade-guides/2026-05-12
METADATA_LEFT_UPDATE_IN = "2026-05-12"


def register(routes: Routes) -> None:
    routes.add("GET", "/users")(list_users)
    routes.add("POST", "/users")(create_user)
    routes.add("GET", "/users/count")(count_users)
    routes.add("GET", "/users/<user_id>")(get_user)
    routes.add("PATCH", "/users/<user_id>")(update_user)
    routes.add("DELETE", "/users/<user_id>")(delete_user)
    routes.add("PATCH", "/users/<user_id>/metadata")(merge_metadata)
    routes.add("PUT", "/users/<user_id>/metadata")(replace_metadata)
    routes.add("POST", "/users/<user_id>/ban")(ban_user)
    routes.add("POST", "/users/<user_id>/unban")(unban_user)
    routes.add("POST", "/users/<user_id>/lock")(lock_user)
    routes.add("POST", "/users/<user_id>/unlock")(unlock_user)
    routes.add("POST", "/email_addresses")(create_email_address)
    routes.add("DELETE", "/email_addresses/<email_id>")(delete_email_address)


def list_users(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        return json_response([shapes.user(user) for user in page_of_users(clerk.store, request)])


def count_users(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        total = len(matching_users(clerk.store, request))
    return json_response({"object": "total_count", "total_count": total})


def get_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.user(user_id)))


def create_user(clerk: LocalClerk, request: Request) -> Response:
    body = json_body(request, CREATE)
    addresses = body.get("email_address", [])
    statuses = body.get("email_address_identification_status") or ["verified"] * len(addresses)
    if len(statuses) != len(addresses):
        name = "email_address_identification_status"
        raise parameter("form_param_value_invalid", name, "must have one entry for each email address")
    for address in addresses:
        require_email(address)
    if not addresses and not body.get("username"):
        raise parameter("form_data_missing", "email_address", "must be included")
    for refused in ("phone_number", "web3_wallet"):
        if body.get(refused):
            raise parameter("form_param_unknown", refused, "is not enabled for this instance")
    fields = profile(body) | metadata(body, KINDS)
    fields |= {name: bool(body[name]) for name in ("banned", "locked") if name in body}
    created_at = milliseconds(body, "created_at")
    emails = [(address, status == "verified") for address, status in zip(addresses, statuses, strict=True)]
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.create_user(emails=emails, created_at=created_at, **fields)))


def update_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    clerk.limiter.admit((f"user:{user_id}", clerk.limits.user_writes))
    takes_metadata = api_version(request) < METADATA_LEFT_UPDATE_IN
    body = json_body(request, {**UPDATE, **METADATA} if takes_metadata else UPDATE)
    with clerk.store.lock:
        user = clerk.store.user(user_id)
        fields = profile(body) | metadata(body, KINDS)
        primary = body.get("primary_email_address_id")
        if primary is not None:
            email = next((email for email in user.emails if email.id == primary), None)
            if email is None or not email.verified:
                name = "primary_email_address_id"
                raise parameter("form_param_value_invalid", name, "must be a verified address of the user")
            fields["primary_email_address_id"] = primary
        if (created_at := milliseconds(body, "created_at")) is not None:
            fields["created_at"] = created_at
        if body.get("sign_out_of_other_sessions"):
            for session in clerk.store.active_sessions(user_id):
                clerk.store.end_session(session.id, "revoked")
        return json_response(shapes.user(clerk.store.update_user(user_id, **fields)))


def delete_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    user = clerk.store.delete_user(user_id)
    return json_response(shapes.deleted("user", user.id, external_id=user.external_id))


def merge_metadata(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    clerk.limiter.admit((f"user:{user_id}", clerk.limits.user_writes))
    body = json_body(request, METADATA)
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.merge_metadata(user_id, body)))


def replace_metadata(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    clerk.limiter.admit((f"user:{user_id}", clerk.limits.user_writes))
    body = json_body(request, METADATA)
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.replace_metadata(user_id, body)))


def ban_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.ban(user_id)))


def unban_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.update_user(user_id, banned=False)))


def lock_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.update_user(user_id, locked=True)))


def unlock_user(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.user(clerk.store.update_user(user_id, locked=False)))


def create_email_address(clerk: LocalClerk, request: Request) -> Response:
    allowed = {"user_id": (str,), "email_address": (str,), "verified": FLAG, "primary": FLAG}
    body = json_body(request, allowed, required=("user_id", "email_address"))
    require_email(body["email_address"])
    verified, primary = bool(body.get("verified")), bool(body.get("primary"))
    with clerk.store.lock:
        email = clerk.store.add_email(body["user_id"], body["email_address"], verified=verified, primary=primary)
        return json_response(shapes.email_address(email))


def delete_email_address(clerk: LocalClerk, request: Request, email_id: str) -> Response:
    clerk.store.remove_email(email_id)
    return json_response(shapes.deleted("email_address", email_id))


def profile(body: Json) -> Json:
    fields = {name: body[name] for name in PROFILE if name in body}
    fields = {name: value for name, value in fields.items() if value is not None or PROFILE[name] is TEXT}
    if "password" in body or "password_digest" in body:
        fields["password_enabled"] = bool(body.get("password") or body.get("password_digest"))
    if (accepted_at := milliseconds(body, "legal_accepted_at")) is not None:
        fields["legal_accepted_at"] = accepted_at
    return fields


def require_email(address: object) -> None:
    if not isinstance(address, str) or address.count("@") != 1 or "." not in address.partition("@")[2]:
        raise parameter("form_param_format_invalid", "email_address", "must be a valid email address")


def milliseconds(body: Json, name: str) -> int | None:
    """An RFC 3339 time as milliseconds since 1970."""
    if body.get(name) is None:
        return None
    try:
        moment = datetime.fromisoformat(body[name])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise parameter("form_param_format_invalid", name, "must be a time as RFC 3339 writes it")
    return int(moment.timestamp() * 1000)
