from dataclasses import fields

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import IsSignedIn
from accounts.identity import ManagerOSUser

# The raw claims are the client's own token; everything else is what the site made of them.
ATTRIBUTES = [field.name for field in fields(ManagerOSUser) if field.name != "session_claims"]


class MeView(APIView):
    """Who the site takes the caller for: `request.manageros_user`, without a query where the claims carry it."""

    permission_classes = [IsSignedIn]

    def get(self, request: Request) -> Response:
        who: ManagerOSUser = request.manageros_user  # type: ignore[attr-defined]
        return Response({name: getattr(who, name) for name in ATTRIBUTES})
