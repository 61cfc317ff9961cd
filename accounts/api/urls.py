from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api.views import MembershipViewSet, MeView, OrganizationViewSet, PersonViewSet

router = SimpleRouter(use_regex_path=False)
router.register("organizations", OrganizationViewSet, basename="organization")
router.register("memberships", MembershipViewSet, basename="membership")
router.register("people", PersonViewSet, basename="person")

app_name = "api"
urlpatterns = [path("me/", MeView.as_view(), name="me"), *router.urls]
