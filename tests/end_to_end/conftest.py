from tests.end_to_end.fixtures import database_url, demo, own_database_url, ports
from tests.end_to_end.production import production

__all__ = ["database_url", "demo", "own_database_url", "ports", "production"]
