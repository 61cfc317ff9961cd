"""Who acts on somebody else's behalf, for the log lines of what they do."""

from contextvars import ContextVar

# The Clerk id of the impersonator of the request being answered; empty where everybody is themselves.
current_actor: ContextVar[str] = ContextVar("current_actor", default="")
