"""`make demo` as a newcomer meets it, up to the site itself: started, ended, started again, started over."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.end_to_end.demo import MANAGE, RunningDemo, alive, listening, running_demo


def user_emails(demo: RunningDemo) -> set[str]:
    page = requests.get(f"{demo.clerk}/sign-in", timeout=60).text
    return {part.split("<")[0] for part in page.split("<small>")[1:]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_every_process(tmp_path: Path, ports: tuple[str, ...], number: signal.Signals) -> None:
    with running_demo(tmp_path, *ports) as demo:
        children = demo.children()
        used = [int(demo.site.rpartition(":")[2]), int(demo.clerk.rpartition(":")[2])]
        assert len(children) == 3
        assert all(listening(port) for port in used)
        assert demo.end(number) == 0
        assert not [pid for pid in children if alive(pid)]
        assert not [port for port in used if listening(port)]


def test_taken_ports_are_named_and_others_used(tmp_path: Path, ports: tuple[str, ...]) -> None:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
            each.listen()
        site, clerk = first.getsockname()[1], second.getsockname()[1]
        with running_demo(tmp_path, "--port", str(site), "--clerk-port", str(clerk)) as demo:
            assert f"Port {site} is taken: the site uses " in demo.said
            assert f"Port {clerk} is taken: the local Clerk uses " in demo.said
            assert requests.get(demo.clerk, timeout=60).ok


def test_second_run_keeps_the_data_and_reset_starts_over(tmp_path: Path, ports: tuple[str, ...]) -> None:
    with running_demo(tmp_path, *ports) as demo:
        form = {"email_address": "nell.arden@example.com", "first_name": "Nell", "last_name": "Arden"}
        assert requests.post(f"{demo.clerk}/sign-up", data=form, timeout=60).ok
        seeded = user_emails(demo)
        assert {"marta.ellison@example.com", "nell.arden@example.com"} <= seeded
        again = subprocess.run(
            [sys.executable, str(MANAGE), "demo", "--folder", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1
        assert "A demo is running" in again.stderr
    with running_demo(tmp_path, *ports) as demo:
        assert user_emails(demo) == seeded
    subprocess.run([sys.executable, str(MANAGE), "demo", "--folder", str(tmp_path), "--reset"], check=True)
    assert not tmp_path.exists()
    with running_demo(tmp_path, *ports) as demo:
        assert user_emails(demo) == seeded - {"nell.arden@example.com"}


def test_part_that_ends_by_itself_ends_the_demo_with_its_last_words(tmp_path: Path, ports: tuple[str, ...]) -> None:
    demo = RunningDemo(tmp_path, *ports).started()
    try:
        children = demo.children()
        worker = next(pid for pid in children if "db_worker" in Path(f"/proc/{pid}/cmdline").read_text())
        os.kill(worker, signal.SIGKILL)
        assert demo.process.wait(30) == 1
        deadline = time.monotonic() + 5
        while any(alive(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in children if alive(pid)]
    finally:
        demo.end()
    assert "The worker ended by itself" in demo.said
