"""Runs every benchmark in a process of its own, and ends with 1 if any figure fell short: `make bench`.

A benchmark is a module with a `main()` that prints its figures and returns 0 if all of them are reached.

    python -m benchmarks [NAME...]
"""

import subprocess
import sys

BENCHMARKS = ("read_path", "sync_marking", "sync_delivery", "people_search", "webhook")


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}.")
    missed = []
    for name in names or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        if subprocess.call([sys.executable, "-m", f"benchmarks.{name}"]):
            missed.append(name)
    print(f"\nFell short: {', '.join(missed)}" if missed else "\nAll figures reached.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
