"""A real redis-server for tests, on a socket in a folder of its own."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import redis


class RedisServer:
    """Started and stopped by a test. `url` is what CACHE_URL takes."""

    def __init__(self, *options: str) -> None:
        self.options = options
        # Not pytest's folder: the path of a socket may have 107 bytes and no more.
        self.folder = Path(tempfile.mkdtemp(prefix="manageros-redis-"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(["redis-server", *options, *self.options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def calls(self) -> dict[str, int]:
        """How often each command was called since the last time that this was."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            stats = client.info("commandstats")
            client.config_resetstat()
        assert isinstance(stats, dict)
        bookkeeping = {"info", "config|resetstat", "client|setinfo", "hello", "ping", "select"}
        counted = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
        return {name: calls for name, calls in counted.items() if name not in bookkeeping}
