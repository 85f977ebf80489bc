"""Models of the known clients: requests, HTTP library, parser and refresh rule of each. May import `wire`."""
