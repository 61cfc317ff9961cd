from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("clerk_sync.urls")),
    path("", include("accounts.urls")),
]

handler400 = "manageros.errors.bad_request"
handler403 = "manageros.errors.permission_denied"
handler404 = "manageros.errors.page_not_found"
handler500 = "manageros.errors.server_error"
