"""What the simulated EC-VMs show: files, commands of Linux and of ECX."""
