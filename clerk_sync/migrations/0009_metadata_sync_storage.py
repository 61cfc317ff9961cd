"""Room for each row's next version beside it, and no index for a search that nobody makes.

A row is rewritten three times from a change to its delivery. Django adds the index for LIKE 'user_2%' on a primary key.
"""

from typing import Any

from django.db import migrations

LIKE_INDEX = "clerk_sync_metadatasync_clerk_user_id_63a2ee34_like"


def make_room(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE clerk_sync_metadatasync SET (fillfactor = 50)")
        schema_editor.execute(f"DROP INDEX IF EXISTS {LIKE_INDEX}")


def take_back(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE clerk_sync_metadatasync RESET (fillfactor)")
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS {LIKE_INDEX} ON clerk_sync_metadatasync (clerk_user_id varchar_pattern_ops)"
        )


class Migration(migrations.Migration):

    dependencies = [
        ('clerk_sync', '0008_metadata_sync_without_user_constraint'),
    ]

    operations = [migrations.RunPython(make_room, take_back)]
