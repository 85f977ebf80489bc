"""What an operator sees: the log, standard error without blocking, the counters behind the metrics.

May import `core`.
"""
