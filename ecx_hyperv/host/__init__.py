"""The Windows side: one SSH connection, one PowerShell, typed requests, and what they show."""
