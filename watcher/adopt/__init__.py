"""Takes over a tree that scripts have managed so far, or whose journal is lost."""
