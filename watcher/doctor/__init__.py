"""Finds what is commonly wrong with a machine, a configuration or a tree, and says what to do about it."""
