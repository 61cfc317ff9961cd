"""The Backend API beside users and sessions: keys, invitations, tickets and JWT templates."""

import secrets
from functools import partial

from werkzeug.wrappers import Request, Response

from clerk_sync.emulator import shapes
from clerk_sync.emulator.answers import Json, json_response
from clerk_sync.emulator.backend_users import require_email
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal, not_found, parameter
from clerk_sync.emulator.fields import FLAG, TEXT, WHOLE, json_body, page
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.state import Invitation, JWTTemplate, Ticket

INVITATION = {
    "email_address": (str,),
    "expires_in_days": WHOLE,
    "ignore_existing": FLAG,
    "notify": FLAG,
    "public_metadata": (dict,),
    "redirect_url": TEXT,
    "template_slug": TEXT,
}
TEMPLATE = {
    "name": (str,),
    "claims": (dict,),
    "lifetime": WHOLE,
    "allowed_clock_skew": WHOLE,
    "custom_signing_key": (bool,),
    "signing_algorithm": TEXT,
    "signing_key": TEXT,
}
DAY = 24 * 3600


def register(routes: Routes) -> None:
    routes.add("GET", "/jwks")(get_jwks)
    routes.add("GET", "/invitations")(list_invitations)
    routes.add("POST", "/invitations")(create_invitation)
    routes.add("POST", "/invitations/<invitation_id>/revoke")(revoke_invitation)
    routes.add("POST", "/actor_tokens")(create_actor_token)
    routes.add("POST", "/actor_tokens/<ticket_id>/revoke")(revoke_ticket)
    routes.add("POST", "/sign_in_tokens")(create_sign_in_token)
    routes.add("POST", "/sign_in_tokens/<ticket_id>/revoke")(revoke_ticket)
    routes.add("POST", "/testing_tokens")(create_testing_token)
    routes.add("GET", "/jwt_templates")(list_templates)
    routes.add("POST", "/jwt_templates")(create_template)
    routes.add("GET", "/jwt_templates/<template_id>")(get_template)
    routes.add("PATCH", "/jwt_templates/<template_id>")(update_template)
    routes.add("DELETE", "/jwt_templates/<template_id>")(delete_template)


def get_jwks(clerk: LocalClerk, request: Request) -> Response:
    return json_response(clerk.signer.jwks)


# --- Invitations


def list_invitations(clerk: LocalClerk, request: Request) -> Response:
    status = request.args.get("status")
    with clerk.store.lock:
        found = [each for each in reversed(clerk.store.invitations.values()) if status in (None, each.status)]
        return page(request, found, partial(invitation_body, clerk))


def create_invitation(clerk: LocalClerk, request: Request) -> Response:
    clerk.limiter.admit(("invitations", clerk.limits.invitations))
    body = json_body(request, INVITATION, required=("email_address",))
    address = body["email_address"]
    require_email(address)
    days = 30 if body.get("expires_in_days") is None else body["expires_in_days"]
    if not 1 <= days <= 365:
        raise parameter("form_param_value_invalid", "expires_in_days", "must be from 1 to 365")
    with clerk.store.lock:
        pending = [each for each in clerk.store.invitations.values() if each.status == "pending"]
        if not body.get("ignore_existing"):
            clerk.store.refuse_taken_email(address)
            if any(each.email_address.lower() == address.lower() for each in pending):
                raise Refusal(
                    400,
                    "duplicate_record",
                    "duplicate invitation",
                    f"There are already pending invitations for the following email addresses: {address}",
                    meta={"email_addresses": [address]},
                )
        now = clerk.store.now()
        invitation = Invitation(
            email_address=address,
            public_metadata=body.get("public_metadata", {}),
            redirect_url=body.get("redirect_url"),
            created_at=now,
            updated_at=now,
            expires_at=now + days * DAY * 1000,
        )
        clerk.store.invitations[invitation.id] = invitation
        clerk.store.changed()
        return json_response(invitation_body(clerk, invitation))


def revoke_invitation(clerk: LocalClerk, request: Request, invitation_id: str) -> Response:
    with clerk.store.lock:
        invitation = clerk.store.invitations.get(invitation_id)
        if invitation is None:
            raise not_found("invitation")
        if invitation.status != "pending":
            raise Refusal(400, "invitation_not_pending", "Only a pending invitation can be revoked")
        invitation.status, invitation.updated_at = "revoked", clerk.store.now()
        clerk.store.changed()
        return json_response(invitation_body(clerk, invitation))


def invitation_body(clerk: LocalClerk, invitation: Invitation) -> Json:
    url = f"{clerk.instance.frontend_api_url}/v1/tickets/accept?ticket={invitation.ticket}"
    return shapes.invitation(invitation, url=url)


# --- Tickets


def create_actor_token(clerk: LocalClerk, request: Request) -> Response:
    """Impersonation: `actor.sub` is the impersonator."""
    fields = {
        "user_id": (str,),
        "actor": (dict,),
        "expires_in_seconds": WHOLE,
        "session_max_duration_in_seconds": WHOLE,
    }
    body = json_body(request, fields, required=("user_id", "actor"))
    if not isinstance(body["actor"].get("sub"), str):
        raise parameter("form_param_value_invalid", "actor", "must hold sub, the id of the impersonator")
    seconds, duration = body.get("expires_in_seconds"), body.get("session_max_duration_in_seconds")
    return create_ticket(
        clerk, body["user_id"], seconds=seconds or 3600, actor=body["actor"], session_lifetime=duration or 1800
    )


def create_sign_in_token(clerk: LocalClerk, request: Request) -> Response:
    body = json_body(request, {"user_id": (str,), "expires_in_seconds": WHOLE}, required=("user_id",))
    return create_ticket(clerk, body["user_id"], seconds=body.get("expires_in_seconds") or 30 * DAY)


def create_ticket(
    clerk: LocalClerk, user_id: str, *, seconds: int, actor: Json | None = None, session_lifetime: int | None = None
) -> Response:
    with clerk.store.lock:
        now = clerk.store.now()
        ticket = Ticket(
            user_id=clerk.store.user(user_id).id,
            actor=actor,
            session_lifetime=session_lifetime,
            created_at=now,
            updated_at=now,
            expires_at=now + seconds * 1000,
        )
        clerk.store.tickets[ticket.id] = ticket
        return json_response(ticket_body(clerk, ticket))


def revoke_ticket(clerk: LocalClerk, request: Request, ticket_id: str) -> Response:
    with clerk.store.lock:
        ticket = clerk.store.tickets.get(ticket_id)
        if ticket is None:
            raise not_found("token")
        if ticket.status != "pending":
            raise Refusal(400, "token_not_pending", "Only a pending token can be revoked")
        ticket.status, ticket.updated_at = "revoked", clerk.store.now()
        return json_response(ticket_body(clerk, ticket))


def ticket_body(clerk: LocalClerk, ticket: Ticket) -> Json:
    url = f"{clerk.instance.frontend_api_url}/v1/tickets/accept?ticket={ticket.token}"
    return shapes.ticket(ticket, url=url)


def create_testing_token(clerk: LocalClerk, request: Request) -> Response:
    expires_at = int(clerk.store.clock()) + 3600
    return json_response({"object": "testing_token", "token": secrets.token_urlsafe(32), "expires_at": expires_at})


# --- JWT templates


def list_templates(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        return page(request, list(clerk.store.templates.values()), shapes.jwt_template)


def create_template(clerk: LocalClerk, request: Request) -> Response:
    body = json_body(request, TEMPLATE, required=("name", "claims"))
    with clerk.store.lock:
        if any(each.name == body["name"] for each in clerk.store.templates.values()):
            raise parameter("form_identifier_exists", "name", "is taken")
        now = clerk.store.now()
        template = JWTTemplate(name=body["name"], claims=body["claims"], created_at=now, updated_at=now)
        apply_template(template, body)
        clerk.store.templates[template.id] = template
        clerk.store.changed()
        return json_response(shapes.jwt_template(template))


def template_by_id(clerk: LocalClerk, template_id: str) -> JWTTemplate:
    template = clerk.store.templates.get(template_id)
    if template is None:
        raise not_found("JWT template")
    return template


def get_template(clerk: LocalClerk, request: Request, template_id: str) -> Response:
    with clerk.store.lock:
        return json_response(shapes.jwt_template(template_by_id(clerk, template_id)))


def update_template(clerk: LocalClerk, request: Request, template_id: str) -> Response:
    body = json_body(request, TEMPLATE, required=("name", "claims"))
    with clerk.store.lock:
        template = template_by_id(clerk, template_id)
        template.name, template.claims, template.updated_at = body["name"], body["claims"], clerk.store.now()
        apply_template(template, body)
        clerk.store.changed()
        return json_response(shapes.jwt_template(template))


def apply_template(template: JWTTemplate, body: Json) -> None:
    if body.get("custom_signing_key") or body.get("signing_algorithm") not in {None, "RS256"}:
        raise Refusal(501, "not_in_local_clerk", "not supported", "The local Clerk signs templates with its own key.")
    for name, least, most in (("lifetime", 30, 315_360_000), ("allowed_clock_skew", 0, 300)):
        value = body.get(name)
        if value is None:
            continue
        if not least <= value <= most:
            raise parameter("form_param_value_invalid", name, f"must be from {least} to {most}")
        setattr(template, name, value)


def delete_template(clerk: LocalClerk, request: Request, template_id: str) -> Response:
    with clerk.store.lock:
        template = template_by_id(clerk, template_id)
        del clerk.store.templates[template.id]
        clerk.store.changed()
        return json_response(shapes.deleted("jwt_template", template.id))
