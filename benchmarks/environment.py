"""The environments of the peers that are measured: each its own, because their requirements exclude ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ENVIRONMENTS = FOLDER / ".environments"
# After the one that runs the benchmark, so that a peer has no other wherever it can; the newest first.
INTERPRETERS = ("python3.14", "python3.13", "python3.12", "python3")


def peer_python(name: str, *, minimum: tuple[int, int] = (3, 11)) -> Path:
    """The interpreter of the peer's environment, made from `peers/<name>.txt` if it is not there or out of date.

    Making it is all that the package index is needed for.
    """
    environment, requirements = ENVIRONMENTS / name, FOLDER / "peers" / f"{name}.txt"
    python, stamp = environment / "bin" / "python", environment / ".installed"
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return python
    subprocess.run([interpreter(minimum), "-m", "venv", "--clear", environment], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*install, "-r", str(requirements)], check=True)
    stamp.write_bytes(requirements.read_bytes())
    return python


def interpreter(minimum: tuple[int, int]) -> str:
    pyenv = sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python")), reverse=True)
    for name in filter(None, (sys.executable, os.environ.get("PEER_PYTHON"), *INTERPRETERS, *pyenv)):
        path = shutil.which(name)
        asks = f"import sys; sys.exit(sys.version_info < {minimum})"
        if path and subprocess.run([path, "-c", asks], check=False, stderr=subprocess.DEVNULL).returncode == 0:
            return path
    sys.exit(f"No Python {'.'.join(map(str, minimum))} or later was found, which the peer needs: set PEER_PYTHON.")
