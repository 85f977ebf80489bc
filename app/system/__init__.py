"""The operating system: files, secrets, sockets, file watching, child processes, hardening.

May import `core`.
"""
