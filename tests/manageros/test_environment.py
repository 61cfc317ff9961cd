"""Settings are read from the environment, and what is wrong with them is named."""

from pathlib import Path

import pytest

from manageros.environment import Environment


def test_value_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sk_live_from_a_file\n")

    env = Environment({"CLERK_SECRET_KEY_FILE": str(tmp_path / "secret")})

    assert env.text("CLERK_SECRET_KEY") == "sk_live_from_a_file"
    assert env.problems == {}


def test_unreadable_file_is_a_problem_that_names_it(tmp_path: Path) -> None:
    env = Environment({"CLERK_SECRET_KEY_FILE": str(tmp_path / "absent")})

    assert env.text("CLERK_SECRET_KEY") == ""
    assert str(tmp_path / "absent") in env.problems["CLERK_SECRET_KEY"]


@pytest.mark.parametrize(("value", "flag"), [("true", True), ("1", True), ("OFF", False), ("", True)])
def test_flags_are_read_in_every_customary_spelling(value: str, flag: bool) -> None:
    assert Environment({"DJANGO_DEBUG": value}).flag("DJANGO_DEBUG", default=True) is flag


@pytest.mark.parametrize("origin", ["example.com", "https://example.com/path", "ftp://example.com"])
def test_what_is_no_origin_is_left_out_and_named(origin: str) -> None:
    env = Environment({"CLERK_AUTHORIZED_PARTIES": f"https://good.example, {origin}"})

    assert env.origins("CLERK_AUTHORIZED_PARTIES") == ["https://good.example"]
    assert origin in env.problems["CLERK_AUTHORIZED_PARTIES"]


@pytest.mark.parametrize("value", ["many", "-1", "nan", "inf"])
def test_what_is_no_number_is_named_and_the_default_kept(value: str) -> None:
    env = Environment({"SOME_NUMBER": value})

    assert env.number("SOME_NUMBER", 7) == 7
    assert "SOME_NUMBER" in env.problems


def test_unknown_choice_is_a_problem_that_lists_the_known_ones() -> None:
    env = Environment({"CLERK_FRESHNESS": "sometimes"})

    assert env.choice("CLERK_FRESHNESS", "cache", among=("cache", "database")) == "cache"
    assert "cache, database" in env.problems["CLERK_FRESHNESS"]


def test_unparsable_value_is_a_problem_and_the_default_is_parsed() -> None:
    env = Environment({"NUMBER": "x"})

    assert env.parsed("NUMBER", "1", int) == 1
    assert "NUMBER" in env.problems
