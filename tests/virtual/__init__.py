"""What only tests use of the simulator: programs in virtual time, their contexts, the invariants that judge them."""
