$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$script:Failed = $false

# One step: what must hold, and what brings it about. Whatever holds already is left alone.
function Step([string]$StepName, [scriptblock]$StepHolds, [scriptblock]$StepMend) {
    try {
        if (& $StepHolds) { Write-Output "ok       $StepName"; return }
        if (-not $Apply) { Write-Output "to do    $StepName"; return }
        & $StepMend | Out-Null
        if (& $StepHolds) { Write-Output "done     $StepName"; return }
        Write-Output "NOT YET  $StepName"
    }
    catch {
        # What cannot be looked at before an earlier step is done is no failure of a run that does nothing.
        if (-not $Apply) { Write-Output "to do    $StepName (not to be seen yet: $($_.Exception.Message))"; return }
        Write-Output "FAILED   ${StepName}: $($_.Exception.Message)"
    }
    $script:Failed = $true
}

# What this script does not do, or was not told how to.
function Note([string]$NoteText) { Write-Output "by hand  $NoteText" }
