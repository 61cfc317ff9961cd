"""The last day of the sync as charts in the admin."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from clerk_sync.models import Activity
from clerk_sync.picture import BAR, HEIGHT, INTERVALS, charts, round_up

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
Figure = Activity.Figure
PAGE = "/admin/clerk_sync/activity/"


def happened(minutes_ago: int, figure: Activity.Figure, label: str, value: int) -> None:
    with time_machine.travel(NOON - timedelta(minutes=minutes_ago), tick=False):
        if figure is Figure.LAG:
            Activity.objects.raise_to(figure, value)
        else:
            Activity.objects.add(figure, {label: value})


def test_bars_stand_where_and_as_high_as_their_figures() -> None:
    happened(0, Figure.DELIVERY, "delivered", 30)
    happened(0, Figure.DELIVERY, "failed", 10)
    happened(60, Figure.DELIVERY, "delivered", 50)
    happened(25 * 60, Figure.DELIVERY, "delivered", 1000)

    _, deliveries, _ = charts(NOON)

    drawn = [(bar.x, bar.y, bar.height, bar.text) for bar in deliveries.bars]
    last = (INTERVALS - 1) * BAR
    assert deliveries.ceiling == 50
    assert drawn == [
        (last - 6 * BAR, 0, HEIGHT, "11:00 delivered 50 deliveries"),
        (last, 0.4 * HEIGHT, 0.6 * HEIGHT, "12:00 delivered 30 deliveries"),
        (last, 0.2 * HEIGHT, 0.2 * HEIGHT, "12:00 failed 10 deliveries"),
    ]
    assert [(legend.label, legend.total) for legend in deliveries.legends] == [("delivered", 80), ("failed", 10)]


def test_hours_are_marked_below() -> None:
    assert [label for _, label in charts(NOON)[0].hours] == ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (499, 500), (501, 1000)])
def test_axis_ends_at_a_round_number(value: int, top: int) -> None:
    assert round_up(value) == top


def test_page_draws_them_for_staff_who_may_see_them(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    happened(0, Figure.LAG, "", 4200)
    happened(30, Figure.FALLBACK, "claims_stale", 7)
    client.force_login(User.objects.create_superuser("root@example.com", "a-password"))

    with time_machine.travel(NOON), django_assert_max_num_queries(10):
        page = client.get(PAGE)

    figures = re.findall(r'<figure class="picture">.*?(<svg.*?</svg>)', page.text, re.DOTALL)
    svgs = [ElementTree.fromstring(figure) for figure in figures]
    assert [len(svg.findall("rect")) for svg in svgs] == [1, 0, 1]
    assert "The longest wait was 5 seconds." in page.text
    assert "claims_stale: 7" in page.text


def test_page_is_for_staff_with_the_permission_alone(client: Client) -> None:
    assert client.get(PAGE).status_code == 302

    client.force_login(User.objects.create_user("staff@example.com", "a-password", is_staff=True))

    assert client.get(PAGE).status_code == 403
