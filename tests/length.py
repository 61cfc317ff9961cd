"""How long a test runs whose worth grows with its length: briefly in `make test`, at full length in `make prove`.

Such a test is marked `prove` and takes its counts from here, so that both run the same code.
"""

import os

PROVING = os.environ.get("PROVE") == "1"


def at_length(short: int, full: int) -> int:
    return full if PROVING else short
