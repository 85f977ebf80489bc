"""Requests without a complete answer: why, in words with a cure (`reasons`), and as a stable code (`error_codes`).

May import `connections`, modules of `upstream` beside the subpackages, and `core`.
"""
