"""The report as one HTML page. Pure, but for the style that is read.

The same input makes the same bytes. Nothing is loaded from anywhere: no font, no picture, no script.
"""

from __future__ import annotations

from importlib.resources import files

from watcher.audit import Finding
from watcher.report import plots, sections
from watcher.report.contents import Contents
from watcher.report.html import Html, section, text
from watcher.wording import count_of, moment

BEGINS = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="tickward '
)
"""How every report begins: so it is known that a file is one."""


def page(contents: Contents) -> str:
    """The whole file. Raises `ConfigError` if Matplotlib is not installed."""
    plots.require_plots()
    parts = {
        "integrity": ("Integrity", sections.integrity(contents)),
        "policy": ("Policy", sections.policy(contents)),
        "calendar": ("Calendar", sections.calendar(contents)),
        "sizes": ("Size over time", sections.sizes(contents)),
        "ratios": ("Compression", sections.ratios(contents)),
        "exceptions": ("Exceptions", sections.exceptions(contents)),
        "readings": ("Verification and restore drills", sections.readings(contents)),
        "deletions": ("Deletions and their certificates", sections.deletions(contents)),
        "check": ("How to check this report", sections.check(contents)),
    }
    links = "".join(f'<li><a href="#{name}">{text(title)}</a></li>' for name, (title, _) in parts.items())
    body = "\n".join(section(name, title, *each) for name, (title, each) in parts.items())
    style = (files("watcher.report") / "report.css").read_text(encoding="utf-8")
    title = f"Tick data retention report, {contents.within.first} to {contents.within.last}"
    return (
        f'{BEGINS}{text(contents.version)}">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}</style></head>\n<body>\n"
        f"<header><h1>{text(title)}</h1>\n{_about(contents)}\n{_verdict(contents)}</header>\n"
        f"<nav><ol>{links}</ol></nav>\n<main>\n{body}\n</main>\n</body></html>\n"
    )


def _about(contents: Contents) -> Html:
    data = contents.settings.data
    facts = {
        "Made": moment(contents.at),
        "By": f"tickward {contents.version}",
        "Days": f"of {contents.within.first} to {contents.within.last} (UTC), by the date of their ticks",
        "Streams": ", ".join(data.streams),
        "Databases": data.root,
        "Second copies": data.backup,
        "Archive": data.archive,
        "Journal": contents.journal,
    }
    return Html(
        f"<dl>{''.join(f'<dt>{text(name)}</dt><dd>{text(fact)}</dd>' for name, fact in facts.items())}</dl>"
    )


def _verdict(contents: Contents) -> Html:
    audit = contents.audit
    if isinstance(audit, Finding):
        sentence = f"The journal is NOT what was recorded: {audit.problem}."
        more = (
            "What follows is what it says now, and proves nothing: `tickward audit verify` says what to do."
        )
        return Html(f'<div class="verdict bad"><strong>{text(sentence)}</strong>{text(more)}</div>')
    events = count_of(audit.events, "event")
    more = f"{events}, each bound to the one before by SHA-256: none is missing, none was edited. "
    if audit.outside is not None:
        more += f"Event {audit.outside} is the one that was noted outside of the journal."
    else:
        more += "Nothing outside of the journal vouches for it."
    sentence = "The journal is what was recorded."
    return Html(
        f'<div class="verdict"><strong>{sentence}</strong>{text(more)}{sections.head(contents)}</div>'
    )
