"""Pure functions from a request to a response: the only place where the outcome of a request is decided.

May import the other modules of `serve` except the application and the protocol.
"""
