"""Set-up of the hosts, of SSH, of the iSCSI target and of ECX."""
