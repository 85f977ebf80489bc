"""The HTTP side: handlers that decide, the FastAPI application, the bounded HTTP/1.1 protocol, access rules, metrics.

May import `observe`, `system` and `core`, but not `identity`, `exchange` or `refresh`. `source.py` declares what the
handlers need of a profile's credentials.
"""
