"""The hosts' side of the lab in a real PowerShell engine: stand-ins for Windows' cmdlets that ask the lab's world."""
