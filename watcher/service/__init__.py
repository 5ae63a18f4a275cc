"""Has the daemon run by the system: systemd, cron, launchd, the Task Scheduler of Windows."""
