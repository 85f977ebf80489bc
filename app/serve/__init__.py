"""The HTTP side: handlers that decide, the FastAPI application, the bounded HTTP/1.1 protocol, access rules, metrics.

May import `observe`, `system` and `core`; knows nothing of `identity`, `exchange` and `refresh`. What it needs of a
profile's credentials is declared in `source.py`.
"""
