"""HTML, a little of it: every text that is not marked as HTML is escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from watcher.wording import printable


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Any value, as text that cannot be taken for HTML."""
    return value if isinstance(value, Html) else Html(escape(printable(str(value))))


def paragraph(*sentences: str) -> Html:
    return Html(f"<p>{' '.join(map(text, sentences))}</p>")


def section(name: str, title: str, *parts: str) -> Html:
    body = "\n".join(map(text, parts))
    return Html(f'<section id="{name}"><h2>{text(title)}</h2>\n{body}\n</section>')


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Iterable[int] = (),
    words: Iterable[int] = (),
    style: str = "",
) -> Html:
    """A table with a caption. ``numbers``: columns that are set to the right; ``words``: those that fold."""
    kinds = {**dict.fromkeys(numbers, ' class="n"'), **dict.fromkeys(words, ' class="w"')}
    classes = [kinds.get(index, "") for index in range(len(heads))]
    head = "".join(
        f'<th scope="col"{kind}>{text(each)}</th>' for each, kind in zip(heads, classes, strict=True)
    )
    lines = (
        "".join(f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(row, classes, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return Html(
        f'<table class="{style}"><caption>{text(caption)}</caption><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table>"
    )


def digest(hexadecimal: str) -> Html:
    """A SHA-256 that may be folded in its middle, and is copied as a whole."""
    half = len(hexadecimal) // 2
    return Html(f"<code>{text(hexadecimal[:half])}<wbr>{text(hexadecimal[half:])}</code>")
