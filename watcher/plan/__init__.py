"""The planner: the one place where it is decided whether something is due, waits, or needs a person. Pure.

`planner` goes through the databases, `replanning` again and again; `presence`, `sealing`, `retention` and
`setbacks` know the rules of one part of a day's life each; `orders` plans what a person asks for; `entries`
are the words in which all of them answer.
"""

from watcher.plan.entries import Action, Block, Doubts, Entry, Wait, is_paused
from watcher.plan.orders import Order, ordered
from watcher.plan.planner import MIDNIGHT_MARGIN, Plan, at_midnight, next_midnight, plan, wanted
from watcher.plan.replanning import Planner
from watcher.plan.sealing import settled_at

__all__ = [
    "MIDNIGHT_MARGIN",
    "Action",
    "Block",
    "Doubts",
    "Entry",
    "Order",
    "Plan",
    "Planner",
    "Wait",
    "at_midnight",
    "is_paused",
    "next_midnight",
    "ordered",
    "plan",
    "settled_at",
    "wanted",
]
