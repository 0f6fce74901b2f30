"""Any input of a foreign format, made from samples: 500 examples of each kind here, 10,000 in scripts/soak."""
