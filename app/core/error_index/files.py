"""Errors of the cache, of credential files, and of the program itself."""

from __future__ import annotations

from .entry import Entry

FILES = (
    Entry(
        "IDS-601",
        "The file system does not answer.",
        "A network file system hangs.",
        "Repair the mount, or keep the files elsewhere.",
    ),
    Entry(
        "IDS-602",
        "The encrypted cache or a credential file cannot be used.",
        "The directory is not writable, the disk is full, or an entry is of another key.",
        "Correct the owner and mode of cache.directory; remove damaged entries.",
    ),
    Entry(
        "IDS-603",
        "A file cannot be written.",
        "The directory does not exist, or this user may not write to it.",
        "Create the directory, or correct its owner and mode.",
    ),
    Entry(
        "IDS-604",
        "The kernel reports no changes of files.",
        "The system has no inotify, or its limits are used up.",
        "Raise the limits: `sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536`.",
    ),
    Entry(
        "IDS-605",
        "Lines of the log were dropped.",
        "The program that reads the sidecar's standard error is slow or has stopped.",
        "Start the reader of the log again, or set logging.level to warning.",
    ),
    Entry(
        "IDS-606",
        "The key of metadata session tokens was lost.",
        "Its file was emptied, replaced or made readable for others, or its directory cannot be written.",
        "Correct owner and mode of the runtime directory, and find out what changes its files. Clients with an "
        "earlier token request a new one.",
    ),
    Entry(
        "IDS-900",
        "The program failed.",
        "An error that has no code of its own.",
        "Do what the message says; otherwise run the command with --debug, and report its output.",
    ),
    Entry(
        "IDS-901",
        "An internal error occurred.",
        "An error in this program.",
        "Report the log's `traceback` event, or the output of the command with --debug.",
    ),
)
