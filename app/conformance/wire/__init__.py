"""One HTTP exchange with the server under test, within limits. Imports no other package of the checks."""
