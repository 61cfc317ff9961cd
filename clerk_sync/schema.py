"""How the API's OpenAPI document describes signing in."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ClerkScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "clerk_sync.authentication.ClerkAuthentication"
    name = ["ClerkBearer", "ClerkCookie"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A Clerk session token."},
            {
                "type": "apiKey",
                "in": "cookie",
                "name": "__session",
                "description": "The cookie of a browser that is signed in. Changes need the X-CSRFToken header too.",
            },
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Either of them; together in one object they would both be needed."""
        return [{name: []} for name in self.name]
