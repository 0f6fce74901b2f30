"""What the simulated hosts show and take: PowerShell cmdlets, their rows, their errors, the agent."""
