#!/usr/bin/env python3
"""Start the example writer (watcher/demo/writer.py) from a clone or an installation; see --help."""

import sys
from pathlib import Path

try:
    from watcher.demo.writer import main
except ModuleNotFoundError:  # a clone that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from watcher.demo.writer import main

if __name__ == "__main__":
    sys.exit(main())
