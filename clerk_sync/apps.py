from django.apps import AppConfig


class ClerkSyncConfig(AppConfig):
    name = "clerk_sync"
    verbose_name = "Clerk"
