"""What a right set-up is, said once: `setup` makes it, `check` judges it."""
