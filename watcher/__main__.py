"""``python -m watcher`` and the console script ``tickward``: the one boundary that turns errors into exit codes."""

from __future__ import annotations

import sys

from watcher.errors import EXIT_STEP_FAILED, TickwardError


def main() -> None:
    """Run the command line. Errors are one sentence on stderr; ``--debug`` shows the traceback."""
    from watcher.cli.main import app

    try:
        app(prog_name="tickward")
    except TickwardError as error:
        if "--debug" in sys.argv:
            raise
        print(f"tickward: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:  # | head
        sys.stderr.close()
        sys.exit(EXIT_STEP_FAILED)
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        print(f"tickward: {error}; --debug shows where", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_STEP_FAILED)


if __name__ == "__main__":
    main()
