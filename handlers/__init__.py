"""What can be done to one day's database. A leaf: nothing here knows of the watcher."""
