"""The rules that a server must keep to serve the known clients. May import `probe`, `models` and `wire`."""
