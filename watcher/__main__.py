"""``python -m watcher`` and the console script ``tickward``: here alone errors become exit codes."""

from __future__ import annotations

import sys
import traceback

from watcher.errors import EXIT_STEP_FAILED, TickwardError


def main() -> None:
    """Run the command line. Errors are one sentence on stderr; ``--debug`` adds the traceback."""
    from watcher.cli.main import app

    try:
        app(prog_name="tickward")
    except TickwardError as error:
        _end(str(error), error.exit_code)
    except BrokenPipeError:  # | head
        sys.stderr.close()
        sys.exit(EXIT_STEP_FAILED)
    except OSError as error:
        _end(f"{error}; --debug shows where", EXIT_STEP_FAILED)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        _end(f"{what}; this is a defect, please report it with what --debug shows", EXIT_STEP_FAILED)


def _end(sentence: str, code: int) -> None:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"tickward: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
