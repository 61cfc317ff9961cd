"""A refusal by the domain's rules, told on the page that asked."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpResponse
from django.shortcuts import redirect

from accounts.identity import IdentifiedRequest

P = ParamSpec("P")
View = Callable[Concatenate[IdentifiedRequest, P], HttpResponse]

AT_ONCE = "Somebody else changed the same thing at the same moment. Look at it again, then repeat your change."


def tell_refusals(view: View[P]) -> View[P]:
    """Answer a refused change with the reason and the same page again: a form's own checks cannot know what another
    request does between them and the save."""

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
        return redirect(request.get_full_path())

    return telling
