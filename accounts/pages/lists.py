from typing import TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet

from accounts.identity import IdentifiedRequest

M = TypeVar("M", bound=Model)

PER_PAGE = 50


def page_of(request: IdentifiedRequest, rows: QuerySet[M]) -> Page[M]:
    """The page that the query string asks for, the nearest there is where that is none. Two queries."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
