import socket


def is_taken(port: int) -> bool:
    """Whether anything listens there, on either loopback address: a browser tries both for `localhost`."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)) == 0:
                return True
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port(preferred: int, *, besides: frozenset[int] = frozenset()) -> int:
    """The preferred port, or the first free one of the hundred after it."""
    for port in range(preferred, preferred + 100):
        if port not in besides and not is_taken(port):
            return port
    raise OSError(f"No port from {preferred} to {preferred + 99} is free.")
