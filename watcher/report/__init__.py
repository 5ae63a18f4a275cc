"""The compliance report: one HTML file that shows what was kept, what was deleted, and how that is known."""
