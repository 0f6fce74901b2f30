"""How properties are tried: on the same examples each time, however slow the machine."""

from hypothesis import settings

always = settings(derandomize=True, deadline=None, max_examples=200)
