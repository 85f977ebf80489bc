"""One module per command, with `run(arguments, environ)`, which returns the exit code.

A module is imported when its command is called. May import everything in `cli`, and every package below it.
"""
