"""What the daemon looks after, for demonstrations and tests: ticks, and a program that writes them.

Nothing here is used by the daemon itself.
"""
