"""Does a server of the two local credential protocols suit the clients that exist? Rules, and models of the clients.

Stands alone: it imports nothing of the program that serves, so a mistake of ours is not copied into our own check. It
asks over raw sockets (`wire`), judges with rules (`rules`) and with models of the clients' parsers and transports
(`uri_clients`, `ecs_clients`), all written from what those clients were seen or read to do, and tells (`report`).
"""
