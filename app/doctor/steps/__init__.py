"""One module for each step. A step returns its result, and raises nothing that the program raises on purpose."""
