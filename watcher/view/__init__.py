"""What an operator is shown, whoever shows it: pure functions of `watcher.overview` and of the journal."""
