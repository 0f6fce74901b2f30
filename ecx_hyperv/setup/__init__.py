"""Set-up: what is made on this EC-VM, and the scripts that a person reads and runs on the hosts and in ECX."""
