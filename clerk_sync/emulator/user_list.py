"""Which users a list or a count is about: the filters, the order and the pages of `GET /users`."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection
from functools import partial

from werkzeug.wrappers import Request

from clerk_sync.emulator.errors import Refusal, parameter
from clerk_sync.emulator.fields import flag, listed, number, timestamp
from clerk_sync.emulator.state import User
from clerk_sync.emulator.store import Store

TIMES = ("created_at", "updated_at", "last_sign_in_at", "last_active_at")
ORDERS = (*TIMES, "email_address", "first_name", "last_name", "username")
FILTERS = {
    "banned",
    "created_at_after",
    "created_at_before",
    "email_address",
    "email_address_query",
    "external_id",
    "last_active_at_after",
    "last_active_at_before",
    "last_sign_in_at_after",
    "last_sign_in_at_before",
    "name_query",
    "query",
    "user_id",
    "username",
    "username_query",
}
UNSUPPORTED = {
    "last_active_at_since",
    "organization_id",
    "phone_number",
    "phone_number_query",
    "provider",
    "provider_user_id",
    "web3_wallet",
}

Condition = Callable[[User], bool]


def page_of_users(store: Store, request: Request) -> list[User]:
    """`starting_after` walks the order of creation, and no other, and takes no offset."""
    limit = number(request, "limit", 10, minimum=1, maximum=500)
    offset = number(request, "offset", 0, minimum=0)
    order = request.args.get("order_by", "-created_at")
    field, descending = order.lstrip("+-"), order.startswith("-")
    if field not in ORDERS:
        raise parameter("form_param_value_invalid", "order_by", f"must be one of {', '.join(ORDERS)}")
    cursor = request.args.get("starting_after")
    if cursor is not None and (field != "created_at" or offset):
        raise parameter("form_param_value_invalid", "starting_after", "needs the order created_at and no offset")
    if cursor is not None and cursor not in store.users:
        raise parameter("form_param_value_invalid", "starting_after", "must be the id of a user")
    if field == "created_at" and not (FILTERS | UNSUPPORTED) & set(request.args):
        return page_by_creation(store, cursor, offset, limit, descending=descending)
    key = sort_key(field)
    users = sorted(matching_users(store, request), key=key, reverse=descending)
    if cursor is not None:
        beyond = key(store.users[cursor])
        users = [user for user in users if (key(user) < beyond if descending else key(user) > beyond)]
    return users[offset : offset + limit]


def page_by_creation(store: Store, cursor: str | None, offset: int, limit: int, *, descending: bool) -> list[User]:
    """All users in a page of their kept order: walking 100,000 of them must not sort them 200 times."""
    order = store.by_creation
    if descending:
        end = bisect_left(order, creation(store.users[cursor])) if cursor else len(order) - offset
        page = order[max(0, end - limit) : max(0, end)][::-1]
    else:
        start = bisect_right(order, creation(store.users[cursor])) if cursor else offset
        page = order[start : start + limit]
    return [store.users[user_id] for _created_at, user_id in page]


def creation(user: User) -> tuple[int, str]:
    return user.created_at, user.id


def sort_key(field: str) -> Callable[[User], tuple[int | str, str]]:
    if field == "email_address":
        return lambda user: (user.primary_email.address if user.primary_email else "", user.id)
    nothing = 0 if field in TIMES else ""
    return lambda user: (getattr(user, field) or nothing, user.id)


def matching_users(store: Store, request: Request) -> list[User]:
    """In no particular order."""
    if unsupported := UNSUPPORTED & set(request.args):
        name = min(unsupported)
        raise Refusal(501, "not_in_local_clerk", "not supported", f"The local Clerk does not filter users by {name}.")
    required = conditions(request)
    return [user for user in candidates(store, request) if all(holds(user) for holds in required)]


def candidates(store: Store, request: Request) -> Collection[User]:
    """By id or address looked up, because a list of every user is long."""
    if "user_id" in request.args:
        return [store.users[user_id] for user_id in listed(request, "user_id") if user_id in store.users]
    if "email_address" in request.args:
        found = map(store.user_by_email, listed(request, "email_address"))
        return {user.id: user for user in found if user}.values()
    return store.users.values()


def conditions(request: Request) -> list[Condition]:
    found: list[Condition] = []
    if addresses := {address.lower() for address in listed(request, "email_address")}:
        found.append(partial(has_address, addresses))
    found += [
        partial(is_one_of, name, set(values))
        for name in ("external_id", "username")
        if (values := listed(request, name))
    ]
    found += [
        partial(mentions, texts, wanted.lower())
        for name, texts in SEARCHES.items()
        if (wanted := request.args.get(name))
    ]
    if (banned := flag(request, "banned")) is not None:
        found.append(partial(is_one_of, "banned", {banned}))
    for name in ("created_at", "last_sign_in_at", "last_active_at"):
        if (before := timestamp(request, f"{name}_before")) is not None:
            found.append(partial(is_before, name, before))
        if (after := timestamp(request, f"{name}_after")) is not None:
            found.append(partial(is_after, name, after))
    return found


def has_address(addresses: set[str], user: User) -> bool:
    return any(email.address.lower() in addresses for email in user.emails)


def is_one_of(name: str, values: Collection[object], user: User) -> bool:
    return getattr(user, name) in values


def mentions(texts: Callable[[User], list[str]], wanted: str, user: User) -> bool:
    return any(wanted in text.lower() for text in texts(user))


def is_before(name: str, moment: int, user: User) -> bool:
    value: int | None = getattr(user, name)
    return value is not None and value < moment


def is_after(name: str, moment: int, user: User) -> bool:
    value: int | None = getattr(user, name)
    return value is not None and value > moment


def emails(user: User) -> list[str]:
    return [email.address for email in user.emails]


SEARCHES: dict[str, Callable[[User], list[str]]] = {
    "query": lambda user: [user.id, *emails(user), user.full_name, user.username or ""],
    "email_address_query": emails,
    "name_query": lambda user: [user.full_name],
    "username_query": lambda user: [user.username or ""],
}
