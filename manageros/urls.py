from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

docs = SpectacularSwaggerSplitView.as_view(
    url_name="api-schema",
    throttle_classes=[],
    http_method_names=["get", "head"],  # its renderer knows no answer to OPTIONS
)
urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(throttle_classes=[]), name="api-schema"),
    path("api/docs/", docs, name="api-docs"),
    path("", include("clerk_sync.urls")),
    path("", include("accounts.urls")),
]

handler400 = "manageros.errors.bad_request"
handler403 = "manageros.errors.permission_denied"
handler404 = "manageros.errors.page_not_found"
handler500 = "manageros.errors.server_error"
