from django.db import models
from django.utils import timezone


class EndedSession(models.Model):
    """A session that Clerk ended before its last token expired. The cache answers first; this row outlives it."""

    session_id = models.CharField(max_length=64, primary_key=True)
    ended_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.session_id
