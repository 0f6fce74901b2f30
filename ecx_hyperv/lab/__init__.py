"""A pair of simulated hosts, and of EC-VMs under a small ECX, behind real SSH: what the demo and the tests run on."""
