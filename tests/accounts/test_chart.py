"""The chart shows everybody once, to the right of their manager, and no box over another."""

import itertools

import pytest

from accounts.chart import BOX_HEIGHT, COLUMN, MARGIN, draw
from accounts.models import Organization, Person


def person(name: str, manager: Person | None = None) -> Person:
    return Person(name=name, manager=manager, organization=Organization(name="Acme"))


def test_reports_stand_beside_their_manager() -> None:
    head = person("Head")
    one, two = person("One", head), person("Two", head)

    boxes = {box.person.name: box for box in draw([head, one, two]).boxes}

    assert boxes["One"].x == boxes["Two"].x == boxes["Head"].x + COLUMN
    assert boxes["One"].y == boxes["Head"].y < boxes["Two"].y
    assert boxes["One"].path
    assert not boxes["Head"].path


def test_whose_manager_is_not_shown_is_a_head() -> None:
    below = person("Below", person("Elsewhere"))

    [box] = draw([below]).boxes

    assert (box.x, box.path) == (MARGIN, "")


def test_empty_organization_has_an_empty_chart() -> None:
    assert draw([]).boxes == []


@pytest.mark.parametrize("shape", ["deep", "wide", "both"])
def test_a_thousand_people_are_drawn_without_overlap(shape: str) -> None:
    people: list[Person] = []
    for number in range(1000):
        above = {"deep": number - 1, "wide": 0, "both": (number - 1) // 5}[shape]
        people.append(person(f"P{number}", people[above] if people else None))

    chart = draw(people)

    assert len({box.person.pk for box in chart.boxes}) == 1000
    columns: dict[int, list[int]] = {}
    for box in chart.boxes:
        columns.setdefault(box.x, []).append(box.y)
    for places in columns.values():
        places.sort()
        assert all(after - before >= BOX_HEIGHT for before, after in itertools.pairwise(places))
    assert max(box.y for box in chart.boxes) + BOX_HEIGHT < chart.height
