"""``tickward demo``"""
from __future__ import annotations
def demo() -> None:
    """Two weeks in a minute."""
