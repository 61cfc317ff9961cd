"""A local Clerk for development and tests. Nothing in production imports it (README.md says what it does not do)."""
