"""Proves the whole life of some days on this very machine, in a temporary place."""
