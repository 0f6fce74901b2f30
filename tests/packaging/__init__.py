"""What the RPM is made of."""
