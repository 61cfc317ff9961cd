"""Runs `manage.py check --deploy` on settings as production has them; any warning fails."""

import os
import subprocess
import sys
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = generate_private_key(public_exponent=65537, key_size=2048).public_key()
PRODUCTION = {
    "DATABASE_URL": "postgresql://manageros@db.internal/manageros",
    "CACHE_URL": "redis://cache.internal:6379/0",
    "DJANGO_SECRET_KEY": "only-for-this-check-and-long-enough-0123456789-abcdefghijkl",
    "DJANGO_ALLOWED_HOSTS": "people.example.com",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "https://people.example.com",
    "DJANGO_BEHIND_PROXY": "true",
    "CLERK_PUBLISHABLE_KEY": "pk_live_" + b64encode(b"clerk.example.com$").decode().rstrip("="),
    "CLERK_SECRET_KEY": "sk_live_only_for_this_check",
    "CLERK_JWT_KEY": KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "CLERK_WEBHOOK_SIGNING_SECRET": "whsec_" + b64encode(b"only-for-this-check-000000").decode(),
    "CLERK_AUTHORIZED_PARTIES": "https://people.example.com",
}


def main() -> int:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLERK_", "DJANGO_"))}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.call(command, env={**kept, **PRODUCTION})


if __name__ == "__main__":
    sys.exit(main())
