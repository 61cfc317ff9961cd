"""Pages for people: signing in and out, and a look at what this Clerk holds and was asked."""

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from clerk_sync.emulator.answers import redirect
from clerk_sync.emulator.browsers import DEV_BROWSER, remember, visiting_client
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.errors import Refusal
from clerk_sync.emulator.handshake import with_query
from clerk_sync.emulator.html import button, page
from clerk_sync.emulator.routing import Routes
from clerk_sync.emulator.sign_ins import register_user
from clerk_sync.emulator.state import Client, User
from clerk_sync.emulator.tickets import accept, open_invitation

routes = Routes()


def answer(clerk: LocalClerk, request: Request) -> Response:
    if request.method == "POST":
        require_own_page(clerk, request)
    return routes.answer(clerk, request)


def require_own_page(clerk: LocalClerk, request: Request) -> None:
    """A form of another site must not sign anyone in, or out, or end anyone's account."""
    if request.headers.get("Origin", clerk.instance.frontend_api_url) != clerk.instance.frontend_api_url:
        raise Refusal(403, "origin_invalid", "This form belongs to another site")


def target(clerk: LocalClerk, request: Request) -> str:
    """Where the browser goes afterwards: an address of the site, or this Clerk's own page."""
    url = request.values.get("redirect_url") or f"{clerk.instance.frontend_api_url}/"
    if not clerk.instance.serves(url):
        raise Refusal(400, "redirect_url_invalid", "redirect_url must be an address of the site")
    return url


def back(clerk: LocalClerk, url: str, client: Client) -> Response:
    """To the site, and in a test instance with the token by which it knows this browser."""
    own = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" == clerk.instance.frontend_api_url
    if not clerk.instance.is_live and not own:
        url = with_query(url, {DEV_BROWSER: client.token})
    return remember(clerk, redirect(url, status=303), client)


@routes.add("GET", "/sign-in")
def sign_in_page(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    with clerk.store.lock:
        users = sorted(clerk.store.users.values(), key=lambda user: user.full_name)
        choices = [
            Markup('<li><button name="user_id" value="{}"><b>{}</b><small>{}</small></button></li>').format(
                user.id, user.full_name or user.id, described(user)
            )
            for user in users[:200]
        ]
    body = Markup(
        "<p>Nobody needs a password here. Who are you?</p>"
        '<form method="post"><input type="hidden" name="redirect_url" value="{url}">'
        '<ul class="people">{choices}</ul></form>'
        '<p><a href="{sign_up}">Sign up as somebody new</a></p>'
    ).format(
        url=url,
        choices=Markup("").join(choices),
        sign_up=with_query("/sign-up", {"redirect_url": url}),
    )
    return page("Sign in", body)


def described(user: User) -> str:
    email = user.primary_email.address if user.primary_email else "no email address"
    return f"{email} · banned" if user.banned else email


@routes.add("POST", "/sign-in")
def sign_in(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        clerk.store.sign_in(client, clerk.store.user(request.form.get("user_id", "")))
        return back(clerk, url, client)


@routes.add("GET", "/sign-up")
def sign_up_page(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    invitation = open_invitation(clerk, request.args.get("__clerk_ticket", ""))
    body = Markup(
        '<form method="post"><input type="hidden" name="redirect_url" value="{url}">'
        '<label>First name <input name="first_name" required></label>'
        '<label>Last name <input name="last_name"></label>'
        '<label>Email address <input name="email_address" type="email" required value="{email}"></label>'
        '<input type="hidden" name="__clerk_ticket" value="{ticket}"><button class="primary">Sign up</button></form>'
        '<p><a href="{sign_in}">I have an account</a></p>'
    ).format(
        url=url,
        sign_in=with_query("/sign-in", {"redirect_url": url}),
        email=invitation.email_address if invitation else "",
        ticket=invitation.ticket if invitation else "",
    )
    return page("Sign up", body)


@routes.add("POST", "/sign-up")
def sign_up(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    form = request.form
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        invitation = open_invitation(clerk, form.get("__clerk_ticket", ""))
        session = register_user(
            clerk, client, form.get("email_address", ""), form.get("first_name") or None, form.get("last_name") or None
        )
        if invitation and invitation.email_address.lower() == form.get("email_address", "").lower():
            invitation.status, invitation.updated_at = "accepted", clerk.store.now()
            clerk.store.merge_metadata(session.user_id, {"public_metadata": invitation.public_metadata})
        return back(clerk, url, client)


@routes.add("GET", "/v1/tickets/accept")
def accept_ticket(clerk: LocalClerk, request: Request) -> Response:
    """Where the links of invitations, sign-in tokens and actor tokens lead."""
    token = request.args.get("ticket", "")
    url = target(clerk, request)
    invitation = open_invitation(clerk, token)
    if invitation:
        url = invitation.redirect_url or url
        return redirect(with_query("/sign-up", {"__clerk_ticket": token, "redirect_url": url}), status=303)
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        accept(clerk, client, token)
        return back(clerk, url, client)


@routes.add("GET", "/sign-out")
def sign_out_page(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    form = Markup(
        '<form method="post"><input type="hidden" name="redirect_url" value="{}">'
        '<button class="primary">Sign out</button></form>'
    ).format(url)
    return page("Sign out", form)


@routes.add("POST", "/sign-out")
def sign_out(clerk: LocalClerk, request: Request) -> Response:
    url = target(clerk, request)
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        for session_id in client.session_ids:
            clerk.store.end_session(session_id, "removed")
        return back(clerk, url, client)


@routes.add("GET", "/")
def overview(clerk: LocalClerk, request: Request) -> Response:
    with clerk.store.lock:
        users = [user_row(clerk, user) for user in list(clerk.store.users.values())[:200]]
    calls = [
        Markup("<tr><td>{}</td><td><code>{} {}</code></td><td>{}</td><td><code>{}</code></td></tr>").format(
            clock(call.at), call.method, call.path, call.status, call.body[:300]
        )
        for call in reversed(list(clerk.calls)[-50:])
    ]
    events = [
        Markup("<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>").format(
            delivery.type, delivery.attempts, delivery.answer if delivery.answer is not None else "waiting"
        )
        for delivery in reversed(list(clerk.webhooks.log)[-50:])
    ]
    body = Markup(
        "<p>Instance <code>{}</code>, publishable key <code>{}</code></p>"
        "<h2>Users</h2><table><tr><th>User</th><th>Public metadata</th><th>Now</th><th></th></tr>{}</table>"
        "<h2>Calls of the Backend API</h2>"
        "<table><tr><th>At</th><th>Call</th><th>Answer</th><th>Body</th></tr>{}</table>"
        "<h2>Webhooks to {}</h2><table><tr><th>Event</th><th>Attempts</th><th>Answer</th></tr>{}</table>"
    ).format(
        clerk.instance.id,
        clerk.instance.publishable_key,
        Markup("").join(users),
        Markup("").join(calls),
        clerk.webhooks.endpoint or "nobody",
        Markup("").join(events),
    )
    return page("Local Clerk", body, wide=True)


def user_row(clerk: LocalClerk, user: User) -> Markup:
    sessions = clerk.store.active_sessions(user.id)
    actions = [
        button(f"/users/{user.id}/revoke-sessions", "Revoke sessions") if sessions else Markup(""),
        button(f"/users/{user.id}/unban", "Unban") if user.banned else button(f"/users/{user.id}/ban", "Ban"),
        button(f"/users/{user.id}/delete", "Delete"),
        button(f"/users/{user.id}/impersonate", "Impersonate"),
    ]
    metadata = json.dumps(user.public_metadata, indent=1, ensure_ascii=False)
    return Markup(
        "<tr><td><b>{}</b><br>{}<br><code>{}</code></td><td><pre>{}</pre></td><td>{}</td>"
        '<td class="actions">{}</td></tr>'
    ).format(
        user.full_name,
        described(user),
        user.id,
        metadata,
        "signed in" if sessions else "signed out",
        Markup("").join(actions),
    )


@routes.add("POST", "/users/<user_id>/impersonate")
def impersonate(clerk: LocalClerk, request: Request, user_id: str) -> Response:
    """Sign this browser in on somebody's behalf, as support staff does from Clerk's dashboard."""
    url = next(iter(clerk.instance.allowed_origins), clerk.instance.frontend_api_url)
    with clerk.store.lock:
        client = visiting_client(clerk, request)
        current = clerk.store.active_session(client)
        impersonator = current.user_id if current and not current.actor else "user_2support"
        actor = {"iss": clerk.instance.frontend_api_url, "sub": impersonator}
        clerk.store.sign_in(client, clerk.store.user(user_id), actor=actor, lifetime=1800)
        return back(clerk, f"{url}/", client)


@routes.add("POST", "/users/<user_id>/<action>")
def act(clerk: LocalClerk, request: Request, user_id: str, action: str) -> Response:
    store = clerk.store
    with store.lock:
        if action == "ban":
            store.ban(user_id)
        elif action == "unban":
            store.update_user(user_id, banned=False)
        elif action == "delete":
            store.delete_user(user_id)
        elif action == "revoke-sessions":
            for session in store.active_sessions(user_id):
                store.end_session(session.id, "revoked")
        else:
            raise Refusal(404, "resource_not_found", "not found")
    return redirect("/", status=303)


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")
