"""What commands print with ``--json``, where none of the watcher's own structs is that: one document each.

Their words are the reference: docs/json.md is made of them. Which command prints which is in `registry`; a
module is imported when a command prints what is in it.
"""
