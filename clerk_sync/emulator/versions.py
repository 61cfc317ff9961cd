"""Versions of the Backend API: https://clerk.com/docs/guides/development/upgrading/versioning"""

from werkzeug.wrappers import Request

from clerk_sync.emulator.errors import Refusal

VERSIONS = ("2021-02-05", "2024-10-01", "2025-03-12", "2025-04-10", "2025-11-10", "2026-05-12")


def api_version(request: Request) -> str:
    """The version asked for, in the header or in the query and not in both; the oldest where neither asks."""
    header, query = request.headers.get("Clerk-API-Version"), request.args.get("__clerk_api_version")
    if header and query:
        raise Refusal(400, "api_version_ambiguous", "The API version was given both as a header and in the query")
    version = header or query or VERSIONS[0]
    if version not in VERSIONS:
        raise Refusal(400, "api_version_invalid", "Invalid API version", f"There is no API version {version}.")
    return version
