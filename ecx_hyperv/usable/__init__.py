"""What a configuration must be beyond being valid, and what a run makes of one that is not."""
