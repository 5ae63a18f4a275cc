"""A watchdog observer for Linux that says when it has failed, instead of going deaf.

watchdog's own observer swallows what it cannot do, and after an overflow rebuilds its watches in
place, which under load may never end. Here whatever goes wrong is reported to ``on_failure``, and
whoever owns the observer throws it away and takes a fresh one. So every observer has an inotify
descriptor of its own (never `InotifyFD.get_instance`), and lets go of it however it ended.

Linux only: importing it elsewhere fails.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

log = logging.getLogger(__name__)

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""A directory that went before it could be watched: nothing is lost by not watching it."""


class FailFastObserver(BaseObserver):
    """One inotify descriptor, the thread that reads it, one emitter, one dispatcher.

    ``on_failure`` is called from any of these threads with a sentence, possibly more than once. It
    must not raise.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self.inotify = FailFastInotify(on_failure)
        super().__init__(FailFastEmitter, inotify_fd=self.inotify, on_failure=on_failure)
        self.inotify.start()

    def on_thread_stop(self) -> None:
        # Whatever happens on the way, the descriptor is closed and the caller goes on to put the
        # stop mark into the queue; without it the dispatcher's thread would wait for ever.
        try:
            super().on_thread_stop()
        except Exception as error:
            log.debug("the observer stopped untidily: %r", error)
        finally:
            self.inotify.stop()
            with contextlib.suppress(RuntimeError):  # it never started
                self.inotify.join()


class FailFastInotify(InotifyFD):
    """The reader of the inotify descriptor."""

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure
        self._released = False
        self.refused: OSError | None = None
        """The last directory the kernel would not watch; watchdog drops this error."""
        self.refusals = 0
        try:
            super().__init__()
        except OSError:
            if hasattr(self, "_inotify_fd"):  # no descriptors left for its pipe: keep none
                os.close(self._inotify_fd)
            raise
        # inotify_init() knows no close-on-exec; a child that inherits it keeps the watches alive.
        os.set_inheritable(self._inotify_fd, False)

    @property
    def watches(self) -> int:
        """How many directories the kernel watches for us."""
        return len(self._watch_for_wd)

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            self._on_failure(f"the inotify reader ended ({error!r})")
        finally:
            self._release_if_closed()

    def handle_event(self, event: InotifyEvent) -> None:
        if event.is_queue_overflow:
            self._on_failure("the kernel's queue of file events overflowed")
        elif event.mask & InotifyConstants.IN_UNMOUNT:
            self._on_failure("a file system in it was unmounted")
        else:
            try:
                super().handle_event(event)
            except Exception as error:
                # In watchdog's own run() this would end the thread in silence.
                self._on_failure(f"watchdog lost count of its watches ({error!r})")
        if event.is_moved_from and event.is_directory:
            # Its watch goes on under a name that may be given to another directory. After a few of
            # these there are directories nobody watches, and as many watches as there should be.
            self._on_failure("a directory was moved")

    def _add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        try:
            watch = self._get_or_create_watch(path, mask)
            if watch.wd == -1:  # how watchdog lets "permission denied" pass
                del self._watch_for_wd[watch.wd]
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if error.errno not in _VANISHED:
                self.refused = OSError(error.errno, error.strerror, os.fsdecode(path))
                self.refusals += 1
            raise
        # Often the same again, of a new directory that was seen twice; watchdog's own method warns
        # of that on stderr, each time with all its books.
        watch.callbacks[id_] = callback
        return watch.wd

    def _release_if_closed(self) -> None:
        """Close what `close` left to the reader, when the reader ended before it could."""
        with self._lock:
            self._is_reading = False
            if self._closed:
                self._close_resources()

    def _close_resources(self) -> None:
        if not self._released:  # closing twice could close what someone else has opened since
            self._released = True
            super()._close_resources()


class FailFastEmitter(InotifyEmitter):
    """Turns inotify's events into watchdog's."""

    def __init__(self, *args: object, on_failure: Callable[[str], None], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._on_failure = on_failure

    def run(self) -> None:
        # As in watchdog, without its line in the error log when stopping meets an event.
        group = self._inotify
        try:
            while group and (event := group.read_event()):  # None once it is closed
                self.build_and_queue_event(event)
        except Exception as error:
            self._on_failure(f"the event emitter ended ({error!r})")

    def on_thread_stop(self) -> None:
        # The watches need no orderly removal, they go with the descriptor. If their books no longer
        # fit, removing them raises, and then the thread must still be let out of its queue.
        group = self._inotify
        try:
            super().on_thread_stop()
        except (KeyError, OSError) as error:
            log.debug("the watches were not removed one by one: %r", error)
        finally:
            if group is not None:
                group._move_event_grouper.close()
