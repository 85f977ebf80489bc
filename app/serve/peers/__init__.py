"""Who is at the other end of a connection: the kernel's socket tables and /proc.

May import `core`.
"""
