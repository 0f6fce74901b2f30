"""The decisions: pure functions from what is seen, asked and tried to the one next step."""
