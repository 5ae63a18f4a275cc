"""How things stand, for Prometheus (``/metrics``) and for whoever probes the daemon (``/healthz``).

`standing` reads what the journal says of all days, `families` makes metrics of that and of the daemon's
vitals, `tally` counts what happens meanwhile, `probe` decides whether the daemon lives, and `server` answers
whoever asks, within bounds; `metrics` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from watcher.clock import Clock
from watcher.errors import ConfigError
from watcher.plan import Plan
from watcher.settings import Settings
from watcher.vitals import Vitals

if TYPE_CHECKING:
    from watcher.metrics.metrics import Metrics


def metrics_of(
    settings: Settings, clock: Clock, vitals: Callable[[], Vitals | None], plan: Callable[[], Plan | None]
) -> Metrics | None:
    """What serves the metrics, if the settings want that; the arguments are those of `metrics.Metrics`.

    Raises `ConfigError` if what it needs is not installed.
    """
    if not settings.metrics.listen:
        return None
    try:
        from watcher.metrics.metrics import Metrics  # noqa: PLC0415 (an extra, which may not be there)
    except ModuleNotFoundError:
        raise ConfigError(
            "metrics.listen needs the package prometheus-client: pip install 'tickward[metrics]', "
            'or set metrics.listen = "" for no metrics'
        ) from None
    return Metrics(settings, clock, vitals, plan)
