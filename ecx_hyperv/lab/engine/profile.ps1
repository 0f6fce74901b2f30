# Makes a PowerShell on Linux a host of the stand-ins: modules that exist here too are loaded beforehand, and the
# registry's drive, which does not exist here, is answered for by two functions.
foreach ($name in 'Microsoft.PowerShell.Management', 'Microsoft.PowerShell.Security') {
    Import-Module -Name (Join-Path $env:ECX_STANDINS "$name/$name.psd1")
}
# Windows' own paths lead to a folder that holds the host's files.
if ($env:ECX_DRIVE_C) { $null = New-PSDrive -Name C -PSProvider FileSystem -Root $env:ECX_DRIVE_C -Scope Global }
function global:Read-StandInKey($Cmdlet, [string]$Path) {
    $ask = New-Object 'Collections.Generic.Dictionary[string,object]'
    $ask['registry'] = $Path
    $key = [EcxStandIn.World]::Exchange($ask).ToString() | ConvertFrom-Json
    if ($key.exists) { return $key }
    $words = if ($key.words) { $key.words } else { "Cannot find path '$Path' because it does not exist." }
    $gone = New-Object Management.Automation.ItemNotFoundException $words
    $Cmdlet.WriteError((New-Object Management.Automation.ErrorRecord $gone, 'PathNotFound', 'ObjectNotFound', $Path))
}
function global:Get-ChildItem {
    [CmdletBinding()]
    param([string]$Path, [string]$LiteralPath, [string]$Filter)
    $at = "$Path$LiteralPath"
    if (-not $at.StartsWith('HKLM:')) { return Microsoft.PowerShell.Management\Get-ChildItem @PSBoundParameters }
    foreach ($child in @((Read-StandInKey $PSCmdlet $at).children)) {
        if ($child) { [pscustomobject]@{ PSChildName = $child; PSPath = "$at\$child"; Name = $child } }
    }
}
function global:Get-ItemProperty {
    [CmdletBinding()]
    param([string]$Path, [string]$LiteralPath, [string[]]$Name)
    $at = "$Path$LiteralPath"
    if (-not $at.StartsWith('HKLM:')) { return Microsoft.PowerShell.Management\Get-ItemProperty @PSBoundParameters }
    (Read-StandInKey $PSCmdlet $at).values
}
