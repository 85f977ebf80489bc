"""
The errors index: one entry for each failure that this program reports, and for the codes of the servers behind it.

docs/errors.md is generated from it. A code is stable: it keeps its meaning, and a removed code is never given again
(`tests/core/error_codes.txt` lists all codes). The first digit names the area: 1 configuration, 2 network, 3 identity
and token, 4 exchange, 5 serving, 6 cache and files, 9 the program itself. The entries are not part of `core.errors`,
because a running sidecar needs only the entries of servers, and `health` needs none.
"""
