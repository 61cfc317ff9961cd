"""A refusal by the domain's rules, told on the page that asked."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.identity import IdentifiedRequest

P = ParamSpec("P")
View = Callable[Concatenate[IdentifiedRequest, P], HttpResponse]

AT_ONCE = "Somebody else changed the same thing at the same moment. Look at it again, then repeat your change."


def tell_refusals(view: View[P]) -> View[P]:
    """Answer a refused change with the reason and the same page again: a form's own checks cannot know what another
    request does between them and the save."""
    return _telling(view, lambda request, kwargs: request.get_full_path())


def tell_refusals_at(page: str, *carried: str) -> Callable[[View[P]], View[P]]:
    """The same for a view that has no page of its own: the reason is told at the page of this name, which takes those
    of the view's arguments that are `carried` there."""

    def decorate(view: View[P]) -> View[P]:
        return _telling(view, lambda request, kwargs: reverse(page, kwargs={name: kwargs[name] for name in carried}))

    return decorate


def _telling(view: View[P], page: Callable[[IdentifiedRequest, dict[str, Any]], str]) -> View[P]:
    @wraps(view)
    def telling(request: IdentifiedRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ValidationError as refusal:
            told = refusal.messages
        except IntegrityError:
            told = [AT_ONCE]
        for message in told:
            messages.error(request, message)
        return redirect(page(request, kwargs))

    return telling
