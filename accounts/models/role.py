from django.db import models


class Role(models.TextChoices):
    """What a member may do, least first; each role may do all that the ones before it may."""

    MEMBER = "member", "Member"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"

    def includes(self, other: "Role") -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
