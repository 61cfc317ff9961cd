"""The ASGI application; a wrong setting stops it here, before the first request."""

import gc
import os

from django.core.asgi import get_asgi_application
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "manageros.settings")

application = get_asgi_application()
call_command("check")

from clerk_sync.activity import start_recording  # noqa: E402  its models need the app registry

start_recording()
gc.freeze()  # what is loaded now stays: to look through it for garbage would stop requests for 0.1 s each time
