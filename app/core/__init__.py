"""Values, events, errors, clocks, the refresh schedule, output formats, addresses and ARNs.

Pure: no file, no socket, no other package of this program.
"""
