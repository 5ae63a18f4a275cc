"""The page to look at: for this machine only, and for looking only.

`shape` is what the page is given, `series` and `picture` make it of an overview (pure); `feed` looks and
listens, `hub` hands what is new to every page that is open; `bodies` and `routes` answer requests, `server`
bears whoever asks; `process` runs all of it beside the daemon. What the browser runs is in ``static``.
"""
