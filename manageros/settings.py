"""The settings of ManagerOS, all of them read from the environment (README, "Settings").

Nothing is validated by raising: `manageros.checks` and `clerk_sync.checks` report every problem at start-up.
"""

from pathlib import Path
from typing import Any

import dj_database_url

from manageros.environment import Environment
from manageros.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

DEBUG = env.flag("DJANGO_DEBUG", default=False)
SECRET_KEY = env.text("DJANGO_SECRET_KEY") or ("insecure-development-key" if DEBUG else "")
ALLOWED_HOSTS = env.listed("DJANGO_ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.origins("DJANGO_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "manageros",
    "accounts",
    "clerk_sync",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "manageros.logs.RequestIdMiddleware",
    "clerk_sync.probes.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "clerk_sync.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "clerk_sync.middleware.ClerkSessionMiddleware",
    "accounts.acting.acting_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "manageros.urls"
WSGI_APPLICATION = "manageros.wsgi.application"
ASGI_APPLICATION = "manageros.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "clerk_sync.context_processors.clerk",
            ],
        },
    }
]

# --- Database

SQLITE_OPTIONS = {
    # A worker and a site write to one file: readers must not block the writer, and a writer that will write takes
    # its lock at once, because SQLite cannot upgrade a read lock while another process writes.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "transaction_mode": "IMMEDIATE",
    # Seconds, less than the 15 that Clerk's webhook waits for an answer.
    "timeout": 10,
}


def database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)}
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {**SQLITE_OPTIONS, **config.get("OPTIONS", {})}
    elif config["ENGINE"] == "django.db.backends.postgresql":
        # Seconds. Without it a server that is cut off is waited for as long as the kernel does: minutes.
        # And nobody waits longer for another transaction's lock: a page or a webhook does not outlive 15 seconds.
        defaults = {"connect_timeout": 5, "options": "-c lock_timeout=5s"}
        config["OPTIONS"] = defaults | config.get("OPTIONS", {})
    return config


DATABASES = {"default": env.parsed("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}", database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Cache: freshness and revocation, shared by processes


def cache(url: str) -> dict[str, Any]:
    if url == "locmem://":
        return {"BACKEND": "manageros.caches.InProcessCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
    if url.startswith("file://"):  # what a laptop's site and worker share: files in a folder
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": url[len("file://") :]}
    if url.startswith(("redis://", "rediss://", "unix://")):
        timeouts = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, "OPTIONS": timeouts}
    raise ValueError("it must start with redis://, rediss://, unix:// or file://")


CACHES = {"default": env.parsed("CACHE_URL", "locmem://", cache)}

# --- Background work

TASKS_BACKEND = env.text("TASKS_BACKEND", "django_tasks_db.DatabaseBackend")
TASKS = {"default": {"BACKEND": TASKS_BACKEND}}
if TASKS_BACKEND == "django_tasks_rq.RQBackend":  # docs/scaling.md, "Other queues"
    INSTALLED_APPS += ["django_rq"]
    RQ_QUEUES = {"default": {"URL": env.text("TASKS_REDIS_URL") or env.text("CACHE_URL")}}

# --- People and passwords (staff only: everybody else signs in with Clerk)

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- Clerk

CLERK_PUBLISHABLE_KEY = env.text("CLERK_PUBLISHABLE_KEY")
CLERK_FRONTEND_API_URL = env.text("CLERK_FRONTEND_API_URL").rstrip("/")
CLERK_SECRET_KEY = env.text("CLERK_SECRET_KEY")
CLERK_JWT_KEY = env.text("CLERK_JWT_KEY").replace("\\n", "\n")
CLERK_WEBHOOK_SIGNING_SECRET = env.listed("CLERK_WEBHOOK_SIGNING_SECRET")
CLERK_AUTHORIZED_PARTIES = env.origins("CLERK_AUTHORIZED_PARTIES")
CLERK_API_URL = env.text("CLERK_API_URL", "https://api.clerk.com/v1").rstrip("/")
CLERK_SIGN_IN_URL = env.text("CLERK_SIGN_IN_URL")
CLERK_SIGN_UP_URL = env.text("CLERK_SIGN_UP_URL")
CLERK_JWT_TEMPLATE_AUDIENCES = env.listed("CLERK_JWT_TEMPLATE_AUDIENCES")
# The `cat` of a token's header: internal to Clerk, and the same on every instance until it says otherwise.
CLERK_TOKEN_CATEGORIES = {
    "session": env.text("CLERK_SESSION_TOKEN_CATEGORY", "cl_B7d4PD111AAA"),
    "template": env.text("CLERK_TEMPLATE_TOKEN_CATEGORY", "cl_B7d4PD222AAA"),
    "unspecified": env.text("CLERK_UNSPECIFIED_TOKEN_CATEGORY", "cl_I7d4PD111III"),
}
# The major version of Clerk's own script, which Clerk serves from the Frontend API.
CLERK_JS_VERSION = env.text("CLERK_JS_VERSION", "5")
# The metadata sync: Clerk's limit in calls per 10 seconds (0: what Clerk grants the kind of key), the sync's share of
# it (the site's own calls have the rest), seconds until a call is given up, and calls in flight for each worker.
CLERK_RATE_LIMIT = env.number("CLERK_RATE_LIMIT", 0)
CLERK_SYNC_SHARE = env.number("CLERK_SYNC_SHARE", 0.96, minimum=0.01)
CLERK_SYNC_TIMEOUT = env.number("CLERK_SYNC_TIMEOUT", 10, minimum=0.1)
CLERK_INVITATIONS_PER_HOUR = int(env.number("CLERK_INVITATIONS_PER_HOUR", 100, minimum=1))
CLERK_SYNC_CONCURRENCY = int(env.number("CLERK_SYNC_CONCURRENCY", 32, minimum=1))
CLERK_FRESHNESS = env.choice("CLERK_FRESHNESS", "cache", among=("cache", "database", "token"))
CLERK_LINK_STAFF = env.flag("CLERK_LINK_STAFF", default=False)

# --- API

API_REQUESTS_PER_MINUTE = env.number("API_REQUESTS_PER_MINUTE", 1200, minimum=1)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["clerk_sync.authentication.ClerkAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.access.IsSignedIn"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.ShallowJSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.throttling.PerMinute"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.errors.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "ManagerOS",
    "DESCRIPTION": "The people of the organization you work in now, its members and their roles.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {"RoleEnum": "accounts.models.Role", "StatusEnum": "accounts.models.Person.Status"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.schema.document_problems",
    ],
    # Served by this site: a content delivery network would see who reads, and could change what they read.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Logs and metrics

LOGGING = logging_config(
    env.choice("LOG_FORMAT", "text" if DEBUG else "json", among=("text", "json")),
    env.choice("LOG_LEVEL", "INFO", among=("DEBUG", "INFO", "WARNING", "ERROR")),
)

METRICS_TOKEN = env.text("METRICS_TOKEN")

# --- Pages

# In a cookie: a message costs no query, as a session would.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# --- Time, static files, security

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

if env.flag("DJANGO_BEHIND_PROXY", default=False):
    # Only a proxy that sets this header itself makes it true; without one, any client could.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

if not DEBUG:
    SECURE_SSL_REDIRECT = env.flag("DJANGO_SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = int(env.number("DJANGO_SECURE_HSTS_SECONDS", 365 * 24 * 3600))
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

ENVIRONMENT_PROBLEMS = env.problems
