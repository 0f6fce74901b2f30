"""The decisions and the loop, against every world there is."""
