#!/usr/bin/env python3
"""Start the example writer (watcher/demo/writer.py) from a clone or an installation; see --help."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = PROJECT / ".venv"

sys.path.insert(0, str(PROJECT))
try:
    from watcher.demo.writer import main
except ModuleNotFoundError as error:  # what it needs is installed for another Python: that of the clone
    python = ENVIRONMENT / "bin" / "python"
    if Path(sys.prefix) == ENVIRONMENT or not python.exists():
        sys.exit(
            f"tick_writer: {error.name} is not installed; run `scripts/run --version` once, which does it"
        )
    os.execv(python, [str(python), *sys.argv])  # noqa: S606

if __name__ == "__main__":
    sys.exit(main())
