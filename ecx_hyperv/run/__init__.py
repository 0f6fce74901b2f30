"""The loop observe -> decide -> act, and what each command makes of it."""
