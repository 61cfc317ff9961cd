from django.apps import AppConfig


class ManagerOSConfig(AppConfig):
    name = "manageros"
    verbose_name = "ManagerOS"

    def ready(self) -> None:
        from manageros import checks  # noqa: F401  registers the system checks, which need the app registry
