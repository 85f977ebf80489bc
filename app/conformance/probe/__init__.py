"""A modelled client's requests against one server, and every answer seen. May import `models` and `wire`."""
