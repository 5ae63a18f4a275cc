"""What each section of the report says. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from watcher.audit import Finding, Proof
from watcher.overview import Day
from watcher.report import plots, series
from watcher.report.calendar import calendar as calendar_of
from watcher.report.chronicle import Certificate, Incident
from watcher.report.contents import Contents
from watcher.report.html import Html, digest, paragraph, table, text
from watcher.view.calendar import calendars
from watcher.view.policy import timeline
from watcher.wording import count_of, moment, size

_BAD = ("lost", "corrupt")
MOST_CERTIFICATES = 20_000
"""More rows no browser likes: 6 MB."""
MOST_INCIDENTS = 2_000
MOST_RULES = 2_000
MOST_MENDED = 2_000


def head(contents: Contents) -> Html:
    head = contents.head
    if head is None:
        return Html("")
    return Html(
        f"<dl><dt>Journal's epoch</dt><dd><code>{text(head.epoch)}</code></dd>"
        f"<dt>Newest event</dt><dd>{head.sequence}, of {text(moment(head.at))}</dd>"
        f"<dt>Its hash</dt><dd>{digest(head.hash)}</dd></dl>"
    )


def integrity(contents: Contents) -> Iterator[Html]:
    """One paragraph, for whoever reads nothing else."""
    days, told = contents.days, contents.chronicle
    known = [day for day in days if day.tier is not None]
    tiers = Counter(day.tier for day in known)
    sealed = sum(day.bytes is not None for day in known)
    gone, certified = tiers["gone"], len(told.certificates)
    early = [each for each in told.certificates if each.at < each.expired.due]
    keys = {event: {each.key for each in told.incidents if each.event == event} for event in _BAD}
    kept = ", ".join(f"{tiers[tier]:,} {tier}" for tier in ("hot", "warm", "cold"))
    streams = len({day.stream for day in known})
    yield paragraph(
        f"There are {count_of(len(known), 'day')} of {count_of(streams, 'stream')}.",
        f"Of {sealed:,} the content was checked, the ticks counted and the SHA-256 recorded when the day was "
        "over.",
        f"{len(known) - gone:,} are kept: {kept}.",
        f"{_are(gone, 'day')} deleted by the policy, and for {certified:,} there is a certificate below.",
        *(_deletion_doubts(gone, certified, early)),
        f"{_are(sum(day.on_hold for day in known), 'day')} on hold now.",
        f"{_are(sum(day.trouble == 'failing' for day in known), 'day')} failing now: a step does not "
        "succeed, or a person must act.",
        f"Days that had no good copy left at some time: {len(keys['lost']):,}; days that were found damaged: "
        f"{len(keys['corrupt']):,}; bad or missing copies that were made again from a good one: "
        f"{len(told.mended):,}.",
        f"The last time that copies were read and compared: {moment(told.last.get('verified'))}; that a "
        f"day was restored on trial: {moment(told.last.get('drilled'))}.",
        *_audited(contents.audit),
    )


def _deletion_doubts(gone: int, certified: int, early: Sequence[Certificate]) -> Iterator[str]:
    if gone != certified:
        yield (
            "THESE TWO NUMBERS DIFFER: a day was deleted and recorded anew, or the journal is not that of "
            "these databases."
        )
    if early:
        yield f"{_are(len(early), 'day')} DELETED BEFORE THE POLICY WANTED IT: {early[0].key}, for one."
    elif certified:
        yield "None of them was deleted before the policy wanted it."


def _audited(audit: Proof | Finding) -> Iterator[str]:
    if isinstance(audit, Finding):
        yield f"The journal is NOT what was recorded: {audit.problem}."
        return
    yield (
        f"All this is recorded in a journal of {count_of(audit.events, 'event')} from {moment(audit.since)} "
        f"to {moment(audit.until)}, which was proven to be what was recorded when this report was made."
    )
    if audit.pruned_by:
        yield f"Older events were pruned; event {audit.pruned_by} vouches for what they had come to."


def policy(contents: Contents) -> Iterator[Html]:
    policy = timeline(contents.settings, contents.at)
    rows: list[tuple[str, ...]] = [(each.step, each.when, each.today) for each in policy.life]
    rows += [
        (each.step, each.when, f"the next time: {moment(each.next)}" if each.next else "-")
        for each in policy.recurring
    ]
    rows += [
        (
            "kept",
            f"the newest {count_of(policy.keep_min, 'day')} of each stream, and all on hold",
            "whatever their age",
        ),
        (
            "at once",
            f"more than {count_of(policy.max_at_once, 'day')} of a stream",
            "are deleted only if a person agrees",
        ),
        (
            "restored",
            f"for {count_of(policy.restored_days, 'day')}",
            "an uncompressed copy stays for so long",
        ),
        (
            "journal",
            f"for {count_of(policy.journal_days, 'day')}",
            "events are kept for so long; certificates for good",
        ),
    ]
    yield table(
        "The policy in force when this report was made",
        ("step", "rule", "what it means"),
        rows,
        words=(1, 2),
    )
    rows = [
        (_number(each.sequence), moment(each.at), name, each.rules.get(name, "(no longer a rule)"))
        for each in contents.chronicle.policies
        for name in each.changed
    ]
    if not rows:
        yield paragraph("No policy was recorded yet.")
        return
    heads = ("event", "in force from", "rule", "in words")
    caption = _caption(
        "Rules that were recorded, the first in full, then what changed", MOST_RULES, len(rows)
    )
    yield table(caption, heads, rows[-MOST_RULES:], numbers=(0,), words=(3,))


def calendar(contents: Contents) -> Iterator[Html]:
    found = calendars(contents.days, contents.at.date())
    yield calendar_of(found) if found else _nothing()


def sizes(contents: Contents) -> Iterator[Html]:
    certificates, until = contents.chronicle.certificates, min(contents.at.date(), contents.within.last)
    sizes = series.sizes_over_time(contents.days, certificates, until)
    if not sizes.days:
        yield _nothing()
        return
    caption = "What the days of this report took, both copies, by tier"
    yield _figure(caption, plots.size_plot(sizes))
    line = series.bytes_a_day(contents.days)
    every = "" if line.every == 1 else f" (on average of {line.every} days each)"
    yield _figure(f"Ticks of a day, uncompressed, all streams together{every}", plots.day_plot(line))
    days = [day for day in contents.days if day.bytes is not None]
    rows = [_totals(stream, list(some)) for stream, some in groupby(days, attrgetter("stream"))]
    if len(rows) > 1:
        rows.append(_totals("all", days))
    heads = ("stream", "sealed days", "ticks", "bytes uncompressed", "bytes now, one copy")
    yield table("What was recorded of each stream", heads, rows, numbers=range(1, 5))


def _totals(stream: str, days: Sequence[Day]) -> tuple[object, ...]:
    ticks, raw = sum(day.ticks or 0 for day in days), sum(day.bytes or 0 for day in days)
    now = sum(day.bytes_now for day in days)
    return stream, f"{len(days):,}", f"{ticks:,}", f"{raw:,}", f"{now:,}"


def ratios(contents: Contents) -> Iterator[Html]:
    ratios = series.ratios_of(contents.days, contents.chronicle.certificates)
    if not ratios:
        yield paragraph("No day was compressed yet.")
        return
    line = series.ratios_over_time(ratios)
    each = "the median of each date" if line.every == 1 else f"the median of {line.every} dates each"
    yield _figure(
        f"How many times smaller days became, by date ({each}); and how many days became so much smaller",
        plots.ratio_plot(line, ratios),
    )


def exceptions(contents: Contents) -> Iterator[Html]:
    incidents = contents.chronicle.incidents
    yield paragraph(
        "Whatever did not go its usual way: holds and releases, steps that failed (the same failure once, "
        "with how often it was), days that were held open, damaged, in conflict, lost, repaired, written "
        "to again, merged or restored."
    )
    if not incidents:
        yield paragraph("There was none.")
        return
    counts = Counter(incident.event for incident in incidents)
    yield paragraph(
        f"In short: {', '.join(f'{count:,} {event}' for event, count in sorted(counts.items()))}."
    )
    shown = incidents[-MOST_INCIDENTS:]
    heads = ("event", "what", "day", "when", "in words")
    yield table(
        _caption("Exceptions", len(shown), len(incidents)),
        heads,
        map(_incident, shown),
        numbers=(0,),
        words=(3, 4),
    )


def _incident(incident: Incident) -> tuple[object, ...]:
    when = moment(incident.at)
    if incident.count > 1:
        when += f", {incident.count:,} times until {moment(incident.last)}"
    return incident.sequence, incident.event, incident.key, when, incident.words


def readings(contents: Contents) -> Iterator[Html]:
    told = contents.chronicle
    if not told.months:
        yield paragraph("No day was read again yet.")
        return
    rows = [
        (
            month.month,
            *(f"{month.counts.get(name, 0):,}" for name in ("verified", "repaired", "lost", "drilled")),
            size(month.bytes_read),
        )
        for month in told.months
    ]
    heads = ("month", "verified", "repaired", "lost", "drilled", "read")
    yield table(
        "Days of which every copy was read and compared, and days that were restored on trial",
        heads,
        rows,
        numbers=range(1, 6),
    )
    last = ", ".join(f"{name} {moment(at)}" for name, at in sorted(told.last.items()))
    yield paragraph(f"The last of each: {last}.")
    if not told.mended:
        yield paragraph("No copy was found bad or missing.")
        return
    shown = told.mended[-MOST_MENDED:]
    repairs = [(m.sequence, m.key, moment(m.at), m.path, m.problem, m.source) for m in shown]
    heads = ("event", "day", "when", "copy", "what was wrong", "made again from")
    yield table(
        _caption("Every repair", len(shown), len(told.mended)), heads, repairs, numbers=(0,), words=(3, 4, 5)
    )


def deletions(contents: Contents) -> Iterator[Html]:
    certificates = contents.chronicle.certificates
    if not certificates:
        yield paragraph("No day was deleted.")
        return
    rules = dict.fromkeys(each.expired.policy for each in certificates)
    names = {rule: f"R{number}" for number, rule in enumerate(rules, 1)}
    yield paragraph(
        f"Deleted: {count_of(len(certificates), 'day')}. The certificate of each is an event of the "
        "journal: what the day was, by which rule it went, when, and by whom. After a deletion no copy "
        "was left at any of the places where there could be one."
    )
    rows = [(name, rule) for rule, name in names.items()]
    yield table("The rules by which days were deleted", ("rule", "in words"), rows, words=(1,))
    shown = certificates[-MOST_CERTIFICATES:]
    heads = ("day", "SHA-256 of the content", "ticks", "bytes", "rule", "due (UTC)", "deleted", "by", "event")
    caption = _caption("Every deletion", len(shown), len(certificates))
    cells = (_certificate(each, names[each.expired.policy]) for each in shown)
    yield table(caption, heads, cells, numbers=(2, 3, 8), words=(1, 7), style="certificates")
    if left := [each for each in certificates if each.expired.left]:
        rows = [(each.key, path) for each in left[:MOST_INCIDENTS] for path in each.expired.left]
        yield table(
            "Files with the name of a deleted day that are no copies of it and were left",
            ("day", "file"),
            rows,
            words=(1,),
        )


def _certificate(each: Certificate, rule: str) -> tuple[object, ...]:
    expired = each.expired
    return (
        each.key,
        digest(expired.sha256),
        f"{expired.ticks:,}",
        f"{expired.size_bytes:,}",
        rule,
        f"{expired.due:%Y-%m-%d %H:%M}",
        f"{each.at:%Y-%m-%d %H:%M}",
        expired.by,
        _number(each.sequence),
    )


def check(contents: Contents) -> Iterator[Html]:
    yield paragraph(
        "The report says what the journal says. Whoever has the journal proves it with `tickward audit "
        "verify`, and reads every event with its hash with `tickward audit export`. At any later time the "
        "journal must have this epoch, and this event with this hash: then everything that the report was "
        "made from is still in it, unchanged."
    )
    if contents.head is not None:
        yield head(contents)
    unread = contents.chronicle.unread
    if unread:
        yield paragraph(
            f"What cannot be read is left out of this report: {count_of(len(unread), 'event')}, the first "
            f"of them event {unread[0]}."
        )


def _figure(caption: str, drawing: str) -> Html:
    return Html(f"<figure><figcaption>{text(caption)}</figcaption>{drawing}</figure>")


def _nothing() -> Html:
    return paragraph("There are no days.")


def _caption(what: str, shown: int, count: int) -> str:
    """Also how many are left out, and how to see them."""
    if shown >= count:
        return f"{what}: {count:,}"
    return (
        f"{what}: the last {shown:,} of {count:,}. The {count - shown:,} before them are left out: make a "
        "report of fewer days (--from, --to), or use `tickward audit export`"
    )


def _number(sequence: int | None) -> str:
    return "pruned" if sequence is None else str(sequence)


def _are(count: int, noun: str) -> str:
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"
