"""Check that a server of the two local credential protocols works with the known clients.

The package imports no other part of the program, so a mistake of the sidecar is not copied into its own check. `wire`
sends requests over raw sockets. `models` has the requests, HTTP libraries and parsers of the clients, written from
captured requests and from the clients' sources. `probe` runs each model against the server, and `rules` checks what the
clients imply. `checker` does both for one server, `report` prints the result.
"""
