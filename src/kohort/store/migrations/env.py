"""Runs migrations on the connection that kohort.store.database hands over; there is no other way to run them."""

from alembic import context

from kohort.store import schema

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=schema.metadata)
with context.begin_transaction():
    context.run_migrations()
