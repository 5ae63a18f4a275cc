"""What is installed: of tickward itself and of what its guarantees rest on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed() -> str:
    """The version of the installed distribution."""
    try:
        return version("tickward")
    except PackageNotFoundError:
        return "unknown"


def describe() -> str:
    """Versions, as bug reports should quote them."""
    import platform

    import apsw
    import zmq
    import zstandard

    zstd = ".".join(map(str, zstandard.ZSTD_VERSION))
    return (
        f"tickward {installed()} (Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}, zstd {zstd}, ZeroMQ {zmq.zmq_version()})"
    )
