"""Whether everything is right: each check, ok and not."""
