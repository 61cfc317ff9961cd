"""What the benchmarks print, and that all of them can be started. What they measure is theirs to say."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from benchmarks.__main__ import BENCHMARKS, README, main
from benchmarks.figures import FELL_SHORT, GATHERED_IN, Figure, gathered, report
from benchmarks.table import BEGIN, END, Outcome, table, write

REACHED = Figure("as quick as", 0.5, at_most=1, note="1 ms")
MISSED = Figure("calls a second", 42, at_least=95)
WITHOUT_BAR = Figure("of a bare view", 3.14159, note="either | or")


def test_each_is_a_module_with_a_main() -> None:
    # In a process of its own: they choose their settings as they are imported.
    checks = "; ".join(f"import benchmarks.{name}; assert callable(benchmarks.{name}.main)" for name in BENCHMARKS)

    subprocess.run([sys.executable, "-c", checks], cwd=settings.BASE_DIR, check=True)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(SystemExit, match="no benchmark nothing"):
        main(["nothing"])


def test_crash_is_listed_and_fails_the_run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("benchmarks.__main__.BENCHMARKS", ("no_such_module", "nor_this"))

    assert main([]) == 1
    crashes = [line for line in capfd.readouterr().out.splitlines() if "CRASHED" in line]
    assert [line.split()[1] for line in crashes] == ["no_such_module", "nor_this"]


@pytest.mark.parametrize(
    ("figure", "bar", "verdict"),
    [
        (Figure("", 1, at_most=1), "at most 1", "reached"),
        (Figure("", 1.01, at_most=1), "at most 1", "MISSED"),
        (Figure("", 95, at_least=95), "at least 95", "reached"),
        (Figure("", 94.9, at_least=95), "at least 95", "MISSED"),
        (Figure("", 2, at_least=0.9, at_most=1.1), "at most 1.1 and at least 0.9", "MISSED"),
        (Figure("", 1e9), "", ""),
    ],
)
def test_bars(figure: Figure, bar: str, verdict: str) -> None:
    assert (figure.bar, figure.verdict) == (bar, verdict)


def test_figures_are_printed_and_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures"
    monkeypatch.setenv(GATHERED_IN, str(file))

    assert report([REACHED, WITHOUT_BAR]) == 0
    assert report([MISSED]) == FELL_SHORT
    assert gathered(file) == [REACHED, WITHOUT_BAR, MISSED]
    reached, without_bar, missed = capsys.readouterr().out.splitlines()
    assert "reached" in reached
    assert "MISSED" in missed
    assert "reached" not in without_bar


def test_table_shows_what_was_missed_and_what_crashed() -> None:
    outcomes = [
        Outcome("first", [REACHED, WITHOUT_BAR], 0),
        Outcome("second", [MISSED], FELL_SHORT),
        Outcome("third", [REACHED], 1),
    ]

    assert table(outcomes, "A machine.").splitlines() == [
        "A machine.",
        "",
        "| benchmark | figure | measured | bar |  | note |",
        "| --- | --- | --- | --- | --- | --- |",
        "| first | as quick as | 0.50 | at most 1 | reached | 1 ms |",
        r"| first | of a bare view | 3.14 |  |  | either \| or |",
        "| second | calls a second | 42.00 | at least 95 | **MISSED** |  |",
        "| third | as quick as | 0.50 | at most 1 | reached | 1 ms |",
        "| third |  |  |  | **CRASHED** | it ended with 1 |",
    ]
    assert [outcome.reached for outcome in outcomes] == [True, False, False]


def test_table_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")

    write("new", file)

    assert file.read_text() == f"Before.\n\n{BEGIN}\n\nnew\n\n{END}\n\nAfter.\n"


def test_file_without_a_place_for_the_table_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("Nothing.")

    with pytest.raises(ValueError, match="no place"):
        write("new", file)
    assert file.read_text() == "Nothing."


def test_readme_has_a_place_for_the_table() -> None:
    assert README.read_text().index(BEGIN) < README.read_text().index(END)
