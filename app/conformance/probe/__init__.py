"""The requests of each client model, run against one server. May import `models` and `wire`."""
