"""Models of the known clients: what each sends, how it parses an answer, when it asks again. May import `wire`."""
