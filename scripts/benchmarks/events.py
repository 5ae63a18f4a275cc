"""Events: how many a second, and how soon they are there, beside what people would use instead."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from loguru import logger
from rich.console import Console

from scripts.benchmarks.event_latency import closing, midnights, receipts
from scripts.benchmarks.event_rates import publishing, replaying

_PARTS = {
    "publishing": publishing,
    "replaying": replaying,
    "receipts": receipts,
    "closing": closing,
    "midnights": midnights,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench events", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", choices=_PARTS, help="one part of it")
    options = parser.parse_args()
    logger.remove()
    for name, part in _PARTS.items():
        if options.only in (None, name):
            # Here, and not where temporary files are, which may be in memory: durable is what is on a disk.
            with TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as folder:
                Console(width=110).print(part(Path(folder), 0.1 if options.quick else 1.0))


if __name__ == "__main__":
    main()
