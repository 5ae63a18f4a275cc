"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a busy machine is not a failure. No database: tests leave nothing behind in the project.
settings.register_profile("tickward", deadline=None, database=None)
settings.load_profile("tickward")
