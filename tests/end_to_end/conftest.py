from tests.end_to_end.fixtures import database_url, demo, ports

__all__ = ["database_url", "demo", "ports"]
