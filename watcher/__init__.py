"""When something is done to a day's database, and who is told. See docs/architecture.md."""
