"""One module for each step. A step returns its result, and raises none of the program's own errors."""
