"""The same fuzzer led by what code its files reach: `python -m scripts.fuzzing.guided CORPUS -runs=100000`.

Needs `pip install atheris`, which is not among what the tests need. CORPUS is a folder for files that
reached something new; it is begun with the valid ones. Other options are libFuzzer's.
"""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["handlers.reader", "handlers.seek_table", "handlers.inner_pages"]):
    from scripts.fuzz_reader import check
    from scripts.fuzzing.files import bases, lied_about, taken_apart


def mutated(data: bytes, most_bytes: int, seed: int) -> bytes:
    """A lie, where the file has parts to lie about, or what libFuzzer does to bytes."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        try:
            changed = lied_about(rng, taken_apart(data))
        except (struct.error, IndexError):
            changed = b""
        if 0 < len(changed) <= most_bytes:
            return changed
    return bytes(atheris.Mutate(data, most_bytes))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(bases()):
        (corpus / f"valid-{number}").write_bytes(each.joined())
    options = ["-max_len=9000", "-rss_limit_mb=2000", *sys.argv[2:]]
    atheris.Setup([sys.argv[0], str(corpus), *options], check, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
