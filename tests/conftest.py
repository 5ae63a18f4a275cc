"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# No deadline: a busy machine is not a failure. No database: tests leave nothing behind in the project.
settings.register_profile("tickward", deadline=None, database=None, max_examples=50)
settings.register_profile("long", settings.get_profile("tickward"), max_examples=1000)
settings.load_profile("tickward")

# Whoever runs the suite in the background of a shell ignores Ctrl-C, and so would every program started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the proofs that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--long"):
        settings.load_profile("long")
    config.addinivalue_line("markers", "long: a proof that takes a minute or more; run with --long only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes a minute or more: --long"))
