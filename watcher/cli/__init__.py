"""The command line: one small file a command, put together in `watcher.cli.main`."""
