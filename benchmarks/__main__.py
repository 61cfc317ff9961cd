"""Runs every benchmark in a process of its own, and prints one table of all figures: `make bench`.

    python -m benchmarks [--write] [NAME...]

A benchmark is a module with a `main()` that reports its figures and returns what `report` returned. One that crashes is
listed as such, and the others run all the same. Ends with 1 if any figure fell short or any benchmark crashed.
`--write` puts the table in benchmarks/README.md, in place of the last one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import GATHERED_IN, gathered
from benchmarks.table import Outcome, machine, table, write

BENCHMARKS = ("read_path", "who_is_this", "sync_marking", "sync_delivery", "people_search", "webhook")
README = Path(__file__).with_name("README.md")


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    names = options.names or BENCHMARKS
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}.")
    here = machine()  # now, because the load average is the start's
    outcomes = [run(name) for name in names]
    text = table(outcomes, here)
    print(f"\n{text}")
    if options.write:
        write(text, README)
    return 0 if all(outcome.reached for outcome in outcomes) else 1


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the product costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them, if none is named")
    parser.add_argument("--write", action="store_true", help=f"put the table in {README.name}")
    return parser


def run(name: str) -> Outcome:
    print(f"\n== {name}", flush=True)
    with tempfile.NamedTemporaryFile(prefix="manageros-bench-") as file:
        program = [sys.executable, "-m", f"benchmarks.{name}"]
        exit_code = subprocess.call(program, env={**os.environ, GATHERED_IN: file.name})
        return Outcome(name, gathered(Path(file.name)), exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
