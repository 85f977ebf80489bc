"""One HTTP request to the server under test and its parsed response. Imports no other package of the checks."""
