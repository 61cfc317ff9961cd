"""The WSGI application; a wrong setting stops it here, before the first request."""

import gc
import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "manageros.settings")

application = get_wsgi_application()
call_command("check")

from clerk_sync.activity import start_recording  # noqa: E402  its models need the app registry

start_recording()
gc.freeze()  # what is loaded now stays: to look through it for garbage would stop requests for 0.1 s each time
