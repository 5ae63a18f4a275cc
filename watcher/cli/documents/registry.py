"""Which command prints what with ``--json``. For the docs and the tests: no command needs it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from watcher.audit import Entry
from watcher.cli.documents.adopt import Accepted, Adoption
from watcher.cli.documents.files import Checked, Written
from watcher.cli.documents.hooks import Deliveries, Hooks, Letters
from watcher.cli.documents.keys import AllowedKey, Keys, NewKey, RevokedKeys
from watcher.cli.documents.planning import Ordered, Pass, PlanAt
from watcher.cli.documents.proving import Audited
from watcher.cli.documents.reading import AnalyzedDay, Row
from watcher.cli.documents.service import ServiceReport, ShownService
from watcher.cli.documents.waiting import Reached
from watcher.cli.report import ReportFile
from watcher.demo.summary import Summary
from watcher.doctor.finding import Diagnosis
from watcher.selftest.result import Selftest
from watcher.settings import Settings
from watcher.shapes import Schema, schema_of
from watcher.view.adherence import Adherence
from watcher.view.forecast import Forecast
from watcher.view.history import History
from watcher.view.inventory import Inventory
from watcher.view.policy import Policy
from watcher.view.status import Status
from watcher.wire import Message


class Printed(Struct, frozen=True):
    """What a command prints."""

    kind: type[Struct]
    form: Literal["object", "lines", "array"] = "object"
    """One object; one object a line, for as long as there are any; one array of objects."""

    def schema(self) -> Schema:
        """Of what is printed; where it is lines, of each."""
        schema = schema_of(self.kind)
        if self.form != "array":
            return schema
        inside = schema.pop("$defs", {})
        return {"type": "array", "items": schema, **({"$defs": inside} if inside else {})}


_ORDERS = ("rotate", "seal", "backup", "compress", "archive", "expire", "merge", "restore", "verify")

PRINTED: dict[str, Printed] = {
    "status": Printed(Status),
    "doctor": Printed(Diagnosis),
    "plan": Printed(PlanAt),
    "inventory": Printed(Inventory),
    "history": Printed(History),
    "policy": Printed(Policy),
    "policy --prove": Printed(Adherence),
    "forecast": Printed(Forecast),
    "once": Printed(Pass),
    **{name: Printed(Ordered) for name in (*_ORDERS, "hold", "release")},
    "query": Printed(Row, "array"),
    "analyze": Printed(AnalyzedDay),
    "audit verify": Printed(Audited),
    "audit export": Printed(Entry, "lines"),
    "report": Printed(ReportFile),
    "events": Printed(Message, "lines"),
    "wait": Printed(Reached),
    "hooks": Printed(Hooks),
    "hooks failed": Printed(Letters),
    "hooks drop": Printed(Letters),
    "hooks retry": Printed(Deliveries),
    "hooks test": Printed(Deliveries),
    "keys list": Printed(Keys),
    "keys new": Printed(NewKey),
    "keys allow": Printed(AllowedKey),
    "keys revoke": Printed(RevokedKeys),
    "config show": Printed(Settings),
    "config check": Printed(Checked),
    "config init": Printed(Written),
    "demo": Printed(Summary),
    "selftest": Printed(Selftest),
    "adopt": Printed(Adoption),
    "adopt --accept-journal": Printed(Accepted),
    "service show": Printed(ShownService),
    **{f"service {name}": Printed(ServiceReport) for name in ("install", "uninstall", "status")},
}
"""By the command, as it is typed; with an option, if it prints something else with that."""

WITHOUT: dict[str, str] = {
    "run": "its log is JSON lines: [logs.md](logs.md)",
    "web": "what it serves is JSON: [web.md](web.md)",
    "shell": "it is for people; `tickward query` is for programs",
    "events schema": "it prints JSON Schema in any case",
}
"""The commands that have no ``--json``, and why."""
