"""The organization chart: where each person stands in it. Drawing it is left to a template."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from accounts.models import Person

# SVG units, which are pixels at 100 %.
BOX_WIDTH, BOX_HEIGHT = 190, 44
COLUMN, ROW = BOX_WIDTH + 46, BOX_HEIGHT + 10
MARGIN = 12


@dataclass(slots=True)
class Box:
    person: Person
    x: int
    y: int
    # The connection from the manager's box, as an SVG path; empty for a head.
    path: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    boxes: list[Box]
    width: int
    height: int


def draw(people: Collection[Person]) -> Chart:
    """Heads at the left, reports to their right, the first beside their manager: a wide organization grows downwards.

    Whose manager is not among the people is a head. No recursion: a line of 1,000 managers is drawn too.
    """
    known = {person.pk for person in people}
    reports: defaultdict[UUID | None, list[Person]] = defaultdict(list)
    for person in people:
        reports[person.manager_id if person.manager_id in known else None].append(person)
    boxes: dict[UUID, Box] = {}
    rows = 0
    # Each person is met twice: on the way down, and once their reports have their places.
    stack = [(person, 0, False) for person in reversed(reports[None])]
    while stack:
        person, depth, placed = stack.pop()
        below = reports[person.pk]
        if below and not placed:
            stack.append((person, depth, True))
            stack += [(report, depth + 1, False) for report in reversed(below)]
            continue
        if below:
            y = boxes[below[0].pk].y
        else:
            y = MARGIN + rows * ROW
            rows += 1
        boxes[person.pk] = Box(person, MARGIN + depth * COLUMN, y)
    connect(boxes)
    width = max((box.x for box in boxes.values()), default=0) + BOX_WIDTH + MARGIN
    return Chart(list(boxes.values()), width, 2 * MARGIN + max(rows, 1) * ROW)


def connect(boxes: dict[UUID, Box]) -> None:
    for box in boxes.values():
        manager = boxes.get(box.person.manager_id) if box.person.manager_id else None
        if manager is not None:
            start, end = manager.y + BOX_HEIGHT // 2, box.y + BOX_HEIGHT // 2
            middle = box.x - 23
            box.path = f"M{manager.x + BOX_WIDTH} {start}H{middle}V{end}H{box.x}"
