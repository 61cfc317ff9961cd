"""PostgreSQL finds a word inside a text with an index of its trigrams; without one it reads every person."""

from typing import Any

from django.db import migrations


def add_index(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
        if cursor.fetchone() is None:
            return
    schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    schema_editor.execute("CREATE INDEX person_search ON accounts_person USING gin (search_text gin_trgm_ops)")


def remove_index(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS person_search")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_search_history_invitations'),
    ]

    operations = [migrations.RunPython(add_index, remove_index)]
