from django.apps import AppConfig


class ClerkSyncConfig(AppConfig):
    name = "clerk_sync"
    verbose_name = "Clerk"

    def ready(self) -> None:
        from clerk_sync import checks  # noqa: F401  registers the system checks, which need the app registry
