"""The guards of the architecture: arrows between rooms, names, sizes, docstrings, and the numbers in docs/."""
