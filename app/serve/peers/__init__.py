"""The user and process at the other end of a connection, from the kernel's socket tables and /proc.

May import `core`.
"""
