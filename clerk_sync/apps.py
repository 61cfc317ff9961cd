from django.apps import AppConfig


class ClerkSyncConfig(AppConfig):
    name = "clerk_sync"
    verbose_name = "Clerk"

    def ready(self) -> None:
        from clerk_sync import checks, marking, schema  # noqa: F401  they register themselves, once the app registry is there
