"""The Linux side: what ECX hands over, its commands, and what this EC-VM remembers."""
