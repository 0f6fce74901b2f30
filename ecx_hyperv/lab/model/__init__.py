"""What is and what becomes of it, without I/O: hosts, WSFC, guests, volumes, ECX, each with its own rules."""
