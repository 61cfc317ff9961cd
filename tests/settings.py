"""The site's own settings, read from an environment that is complete and holds no secret of anybody's."""

import os

TEST_ENVIRONMENT = {
    "DJANGO_SECRET_KEY": "a-secret-key-that-only-the-tests-know-0123456789-abcdef",
    "DJANGO_ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "DJANGO_SECURE_SSL_REDIRECT": "false",
    # base64("clerk.manageros.test$"): a test instance whose Frontend API is https://clerk.manageros.test
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsubWFuYWdlcm9zLnRlc3Qk",
    "CLERK_SECRET_KEY": "sk_test_only_the_tests_know",
    "CLERK_WEBHOOK_SIGNING_SECRET": "whsec_dGVzdHMtb25seS1zaWduaW5nLXNlY3JldC0wMQ==",
    "CLERK_API_URL": "https://api.clerk.test/v1",
    "CLERK_AUTHORIZED_PARTIES": "http://testserver",
    "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", "sqlite:///:memory:"),
}
# Whatever the shell holds must not reach the tests: a real key least of all.
for name in [name for name in os.environ if name.startswith(("CLERK_", "DJANGO_"))]:
    if name != "DJANGO_SETTINGS_MODULE":
        del os.environ[name]
os.environ.update(TEST_ENVIRONMENT)

from manageros.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True  # static files are not collected for the tests
