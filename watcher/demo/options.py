"""The writer's command line."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from datetime import UTC, datetime
from pathlib import Path

USAGE_END = """\
A day ends at 00:00 UTC. Times are ISO 8601, UTC unless they say otherwise. The clock of --clock-*
shows START at the Unix time ORIGIN and runs SCALE times as fast as real time; every program that is
given the same three sees the same time.

exit status:
  0  it ended as it was told to, or by SIGTERM or SIGINT; every tick it took is committed
  1  ticks could not be read or written
  2  usage
"""


def parse(argv: list[str] | None) -> Namespace:
    """Read the arguments; usage errors end the process with status 2, as argparse does."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.csv and (options.days or options.until or options.rotate_on == "event"):
        parser.error(
            "--csv goes by the time stamps in the file and ends with it: "
            "leave out --days, --until and --rotate-on event"
        )
    if (options.rotate_on == "event") != (options.events is not None):
        parser.error("--rotate-on event and --events ENDPOINT need each other")
    try:
        options.pattern.format(date="", year="", month="", day="")
    except (LookupError, ValueError):
        parser.error(f"--pattern {options.pattern}: use {{date}}, {{year}}, {{month}} and {{day}}")
    return options


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="tick_writer",
        description="Write ticks into daily SQLite databases, as a trading engine does.",
        epilog=USAGE_END,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("where").add_argument
    add("--root", type=Path, default=Path("data/ticks/db"), metavar="DIR", help="%(default)s")
    add("--pattern", default="{year}/{month}/ticks_{date}.db", help="below the root; %(default)s")
    add("--report", type=Path, metavar="FILE", help="append the counts of each closed day here")
    add("--latencies", type=Path, metavar="FILE", help="append each commit's latency, ms, here")
    add("--progress", action="store_true", help="print a line after every commit")

    add = parser.add_argument_group("what").add_argument
    add("--csv", type=Path, metavar="FILE", help="replay ticks (.csv, .gz, .zst), then end")
    add("--symbols", type=_count, default=100, metavar="N", help="make up ticks of N symbols; 100")
    add("--seed", type=int, default=0, metavar="N", help="the same seed makes the same ticks; 0")
    add(
        "--rate",
        type=_positive,
        metavar="R",
        help="ticks a second of the clock, all symbols together; 10 (a file: as fast as possible)",
    )
    add("--batch", type=_count, default=500, metavar="N", help="ticks a transaction, at most; 500")
    add(
        "--commit-every",
        type=_positive,
        default=0.1,
        metavar="SECONDS",
        help="real seconds between commits of what has come since; %(default)s",
    )

    add = parser.add_argument_group("when a day ends").add_argument
    add("--rotate-on", choices=("clock", "event"), default="clock", help="%(default)s")
    add("--events", metavar="ENDPOINT", help="where they are published, tcp://HOST:PORT")
    add("--topic", default="rotated/ticks/", metavar="PREFIX", help="of those; %(default)s")
    add(
        "--grace",
        type=_positive,
        default=5.0,
        metavar="SECONDS",
        help="real seconds to wait for the event after midnight; %(default)s",
    )

    add = parser.add_argument_group("when it is over").add_argument
    add("--seconds", type=_positive, help="after so many real seconds")
    add("--days", type=_count, metavar="N", help="at the end of the Nth day, by the clock")
    add("--until", type=_time, metavar="TIME", help="at that time, by the clock")

    add = parser.add_argument_group("a clock that is not the machine's").add_argument
    add("--clock-start", type=_time, metavar="TIME", help="what it shows at the origin; now")
    add("--clock-origin", type=float, metavar="UNIX", help="when it shows that; now")
    add("--clock-scale", type=_positive, metavar="X", help="how fast it runs; 1")
    return parser


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a time such as 2026-01-19T23:59:00Z") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
