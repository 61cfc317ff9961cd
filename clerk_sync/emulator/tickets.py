"""Tickets: what lets a browser in without a code. Invitations, sign-in tokens and actor tokens each make one."""

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.state import Client, Invitation, Session


def accept(clerk: LocalClerk, client: Client, token: str) -> Session:
    """Sign the browser in with a sign-in or actor token, once."""
    store = clerk.store
    with store.lock:
        ticket = next((each for each in store.tickets.values() if each.token == token), None)
        if ticket is None or ticket.status != "pending" or ticket.expires_at <= store.now():
            raise Refusal(400, "ticket_invalid_code", "Ticket is invalid", "The ticket is unknown, used or expired.")
        user = store.user(ticket.user_id)
        actor = {"iss": clerk.instance.frontend_api_url, **ticket.actor} if ticket.actor else None
        session = store.sign_in(client, user, actor=actor, lifetime=ticket.session_lifetime)
        ticket.status, ticket.updated_at = "accepted", store.now()
        return session


def open_invitation(clerk: LocalClerk, token: str) -> Invitation | None:
    now = clerk.store.now()
    return next(
        (
            each
            for each in clerk.store.invitations.values()
            if each.ticket == token and each.status == "pending" and each.expires_at > now
        ),
        None,
    )
