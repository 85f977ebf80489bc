"""Connections to the cloud: look-ups, addresses, TLS, proxies, and a bound for everything that is read.

Look-ups and connections are our own, under httpcore: the event loop looks names up in two threads, and a look-up cannot
be cancelled. httpcore also hides the cause of a failure.

`transport` uses all the others. May import `keys`, `system` and `core`.
"""
