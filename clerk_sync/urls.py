from django.urls import path

from clerk_sync.webhooks import clerk_webhook

urlpatterns = [
    path("webhooks/clerk/", clerk_webhook, name="clerk-webhook"),
]
