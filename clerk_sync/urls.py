from django.urls import path

from clerk_sync import inspector, pages
from clerk_sync.health import healthz, readyz
from clerk_sync.metrics import metrics
from clerk_sync.views import freshness
from clerk_sync.webhooks import clerk_webhook

urlpatterns = [
    path("sign-in/", pages.sign_in, name="sign-in"),
    path("sign-up/", pages.sign_up, name="sign-up"),
    path("sign-out/", pages.sign_out, name="sign-out"),
    path("account/session/", inspector.session, name="session"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("account/session/freshness/", freshness, name="session-freshness"),
    path("webhooks/clerk/", clerk_webhook, name="clerk-webhook"),
]
