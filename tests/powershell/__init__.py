"""The scripts for the hosts, run by a real PowerShell against stand-ins for Windows' cmdlets."""
