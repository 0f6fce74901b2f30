"""What goes between an EC-VM and a host: the frames, the scripts, the sessions."""
