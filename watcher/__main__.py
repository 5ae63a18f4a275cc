"""``python -m watcher`` and the console script ``tickward``: here alone errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from watcher.errors import EXIT_STEP_FAILED, EXIT_USAGE, TickwardError

EXIT_CLOSED_PIPE = 141
"""As of any program that writes to a pipe which nobody reads any more: 128 and the number of SIGPIPE."""
EXIT_INTERRUPTED = 130


_NO_SPACE = "free some: the journal, the lock and the log need a little; `tickward doctor` says where"
_HINTS = {errno.ENOSPC: _NO_SPACE, errno.EDQUOT: _NO_SPACE}


def main() -> None:
    """Run the command line. Errors are one sentence on stderr; ``--debug`` adds the traceback."""
    from typer import Abort

    from watcher.cli.main import app
    from watcher.cli.usage import UsageError, is_help, sentence

    try:
        code = app(prog_name="tickward", standalone_mode=False)
        sys.stdout.flush()
    except TickwardError as error:
        _end(str(error), error.exit_code)
    except UsageError as error:
        if is_help(error):
            print(error, file=sys.stderr)  # noqa: T201
            sys.exit(EXIT_USAGE)
        _end(sentence(error), EXIT_USAGE)
    except BrokenPipeError:  # | head
        _end_quietly()
    except SystemExit as end:  # so typer and rich end when they find that pipe closed
        if isinstance(end.__context__, BrokenPipeError):
            _end_quietly()
        raise
    except Abort:  # so an older typer calls what is an exit status with a later one
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        _end(f"{error}; {_HINTS.get(error.errno or 0, '--debug shows where')}", EXIT_STEP_FAILED)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        _end(f"{what}; this is a defect, please report it with what --debug shows", EXIT_STEP_FAILED)
    sys.exit(code)


def _end(sentence: str, code: int) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"tickward: {sentence}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _end_quietly() -> NoReturn:
    """What is still to be written goes nowhere: at its end the interpreter would complain of it."""
    with suppress(OSError, ValueError):  # it is no file, or closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    sys.exit(EXIT_CLOSED_PIPE)


if __name__ == "__main__":
    main()
