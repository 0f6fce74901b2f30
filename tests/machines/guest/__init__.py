"""What is put into the machines."""
