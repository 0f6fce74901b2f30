$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# A prompt or a profile may have each change confirmed. -Apply is the confirmation, and a question would end the step.
$ConfirmPreference = 'None'
# Cmdlets that are functions of a module (iSCSI, disks, firewall) do not see this script's preferences where it is run
# from a prompt: without this, a step that failed would say NOT YET, and its reason would stand elsewhere.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop'; '*:Confirm' = $false }
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
        # The cluster's messages hold line ends, and a step is one line.
        $reason = $_.Exception.Message.Trim() -replace '\s+', ' '
        # What cannot be looked at before an earlier step is done is no failure of a run that does nothing.
        if (-not $Apply) { Write-Output "to do    $StepName (not to be seen yet: $reason)"; return }
        Write-Output "FAILED   ${StepName}: $reason"
    }
    $script:Failed = $true
}

# What was given to this script cannot be right; nothing is changed by it.
function Wrong([string]$WrongText) {
    Write-Output "FAILED   $WrongText"
    $script:Failed = $true
}

# What this script does not do, or was not told how to.
function Note([string]$NoteText) { Write-Output "by hand  $NoteText" }
