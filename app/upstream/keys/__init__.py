"""Private keys and certificates in all common forms, for signatures and for TLS. Opens no connection.

May import `system` and `core`.
"""
