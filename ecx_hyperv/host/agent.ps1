# The agent on a Hyper-V host: reads requests, makes the cmdlet calls they name, writes frames. It decides nothing.
# Windows PowerShell 5.1. ASCII only, in both directions, whatever the host's code page or language.
param($Reader, [string]$Nonce)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$VerbosePreference = 'SilentlyContinue'
$DebugPreference = 'SilentlyContinue'
$InformationPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
# Core cmdlets live in modules too; load theirs before auto-loading ends.
Import-Module -Name 'Microsoft.PowerShell.Utility', 'Microsoft.PowerShell.Management'
$PSModuleAutoLoadingPreference = 'None'
# With it, 5.1 may write an array as an object with value and Count.
Remove-TypeData System.Array -ErrorAction Ignore

# Everything that may be called, and where it lives. Nothing else can be.
$Allowed = @{
    'Get-Cluster' = 'FailoverClusters'
    'Get-ClusterNode' = 'FailoverClusters'
    'Get-ClusterGroup' = 'FailoverClusters'
    'Get-ClusterResource' = 'FailoverClusters'
    'Get-ClusterParameter' = 'FailoverClusters'
    'Get-ClusterSharedVolume' = 'FailoverClusters'
    'Get-ClusterSharedVolumeState' = 'FailoverClusters'
    'Get-ClusterNetwork' = 'FailoverClusters'
    'Get-ClusterQuorum' = 'FailoverClusters'
    'Get-ClusterResourceType' = 'FailoverClusters'
    'Start-ClusterResource' = 'FailoverClusters'
    'Stop-ClusterResource' = 'FailoverClusters'
    'Move-ClusterSharedVolume' = 'FailoverClusters'
    'Move-ClusterVirtualMachineRole' = 'FailoverClusters'
    'Get-VM' = 'Hyper-V'
    'Get-VMHost' = 'Hyper-V'
    'Get-VMIntegrationService' = 'Hyper-V'
    'Start-VM' = 'Hyper-V'
    'Stop-VM' = 'Hyper-V'
    'Resume-VM' = 'Hyper-V'
    'Restart-VM' = 'Hyper-V'
    'Get-IscsiConnection' = 'iSCSI'
    'Get-IscsiSession' = 'iSCSI'
    'Get-IscsiTargetPortal' = 'iSCSI'
    'Update-IscsiTargetPortal' = 'iSCSI'
    'Get-Service' = 'Microsoft.PowerShell.Management'
    'Get-Content' = 'Microsoft.PowerShell.Management'
    'Get-Acl' = 'Microsoft.PowerShell.Security'
}
$Refused = 'Verbose', 'Debug', 'ErrorAction', 'WarningAction', 'InformationAction', 'ErrorVariable', 'WarningVariable',
    'InformationVariable', 'OutVariable', 'OutBuffer', 'PipelineVariable', 'WhatIf', 'Confirm', 'UseTransaction',
    'ComputerName', 'CimSession', 'Credential', 'Cluster'

$Output = [Console]::OpenStandardOutput()
$Clock = [Diagnostics.Stopwatch]::StartNew()
$IdleLimit = 120000
$Grace = 5000

# The deadman. sshd does not end powershell.exe when the connection drops (Win32-OpenSSH #1751), and a cmdlet that
# hangs cannot be interrupted from within, so a second runspace kills the whole process. Due is in ms of the clock.
$Deadman = [hashtable]::Synchronized(@{ Due = [long]$IdleLimit; Clock = $Clock })
$Watch = [RunspaceFactory]::CreateRunspace([Management.Automation.Runspaces.InitialSessionState]::CreateDefault2())
$Watch.Open()
$Watch.SessionStateProxy.SetVariable('Deadman', $Deadman)
$Watcher = [PowerShell]::Create()
$Watcher.Runspace = $Watch
$null = $Watcher.AddScript({
    while ($Deadman.Clock.ElapsedMilliseconds -lt $Deadman.Due) { [Threading.Thread]::Sleep(200) }
    [Diagnostics.Process]::GetCurrentProcess().Kill()
}.ToString())
$null = $Watcher.BeginInvoke()

function Write-Frame([string]$Kind, $Content) {
    $json = ConvertTo-Json -Compress -Depth 8 -InputObject $Content
    $text = "`n" + $Nonce + ' ' + $Kind + ' ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)) + "`n"
    $bytes = [Text.Encoding]::ASCII.GetBytes($text)
    $Output.Write($bytes, 0, $bytes.Length)
    $Output.Flush()
}

function New-Refusal([string]$Message) {
    @{ ok = $false; error = @{
        message = $Message; id = 'BadRequest'; category = 'InvalidOperation'; exception = 'BadRequest'; code = $null
    } }
}

function Import-Needed([string]$Module, $Loaded) {
    if (Get-Module -Name $Module) { return }
    $start = $Clock.ElapsedMilliseconds
    Import-Module -Name $Module -DisableNameChecking
    $Loaded[$Module] = $Clock.ElapsedMilliseconds - $start
}

# Objects become plain data: numbers of enums differ between builds, so an enum travels as its name.
function ConvertTo-Plain($Value) {
    if ($null -eq $Value) { return $null }
    if ($Value -is [string]) { return [string]::Copy([string]$Value) }
    if ($Value -is [bool]) { return [bool]$Value }
    if ($Value -is [double] -or $Value -is [single]) {
        if ([double]::IsNaN($Value) -or [double]::IsInfinity($Value)) { return $null }
        return [double]$Value
    }
    if ($Value -is [enum]) { return $Value.ToString() }
    if ($Value -is [ValueType] -and $Value -is [IConvertible] -and $Value -isnot [char] -and $Value -isnot [datetime]) {
        return $Value
    }
    if ($Value -is [Collections.IEnumerable] -and $Value -isnot [Collections.IDictionary]) {
        $list = New-Object Collections.ArrayList
        foreach ($item in $Value) { $null = $list.Add((ConvertTo-Plain $item)) }
        return , $list.ToArray()
    }
    return [string]::Copy([string]$Value)
}

function Get-Dotted($Object, [string]$Path) {
    $value = $Object
    foreach ($part in $Path.Split('.')) {
        try { $value = $value.$part } catch { $value = $null }
        if ($null -eq $value) { return $null }
    }
    return , $value
}

# The Win32 code in 0x8007xxxx (as signed numbers); any other number as it is.
function ConvertTo-Win32Code([int]$Number) {
    if (($Number -band -65536) -eq -2147024896) { return $Number -band 65535 }
    return $Number
}

function Get-Win32Code($Record) {
    $chain = @()
    for ($e = $Record.Exception; $null -ne $e; $e = $e.InnerException) { $chain = @($e) + $chain }
    foreach ($e in $chain) {
        if ($e -is [ComponentModel.Win32Exception]) { return ConvertTo-Win32Code $e.NativeErrorCode }
    }
    foreach ($e in $chain) {
        if ((ConvertTo-Win32Code $e.HResult) -ne $e.HResult) { return ConvertTo-Win32Code $e.HResult }
    }
    $found = [regex]::Matches([string]$Record.Exception.Message, '0x8007([0-9A-Fa-f]{4})')
    if ($found.Count -gt 0) { return [Convert]::ToInt32($found[$found.Count - 1].Groups[1].Value, 16) }
    return $null
}

function New-Failure($Record) {
    @{ ok = $false; error = @{
        message = [string]$Record.Exception.Message
        id = [string]$Record.FullyQualifiedErrorId
        category = [string]$Record.CategoryInfo.Category
        exception = $Record.Exception.GetType().Name
        code = Get-Win32Code $Record
    } }
}

# Returns the arguments to splat, or throws the reason why the call is refused.
function Get-Arguments($Command, $Given) {
    $splat = @{}
    if ($null -eq $Given) { return $splat }
    foreach ($property in $Given.PSObject.Properties) {
        $name = $null
        foreach ($parameter in $Command.Parameters.Values) {
            if ($parameter.Name -eq $property.Name -or $parameter.Aliases -contains $property.Name) {
                $name = $parameter.Name
            }
        }
        if ($null -eq $name) { throw "no parameter $($property.Name)" }
        if ($Refused -contains $name) { throw "the parameter $name is refused" }
        foreach ($item in @($property.Value)) {
            $isList = $property.Value -is [array]
            $isPlain = $item -is [string] -or (-not $isList -and $item -is [ValueType])
            if (-not $isPlain) { throw "the value of $name is neither text, number, boolean nor a list of texts" }
        }
        $splat[$name] = $property.Value
    }
    return $splat
}

# Returns the objects that a call gives, as a list; refusals are thrown with a mark that tells them from failures.
function Invoke-Call($Call, $Loaded) {
    $name = [string]$Call.cmdlet
    if ($name -eq 'Agent-Sleep') { [Threading.Thread]::Sleep([int]$Call.args.Milliseconds); return , @() }
    if ($name -eq 'Agent-Echo') {
        return , @(@{ Text = ([string]$Call.args.Text) * [Math]::Max(1, [int]$Call.args.Repeat) })
    }
    if (-not $Allowed.ContainsKey($name)) { throw "$Mark$name is not allowed" }
    Import-Needed $Allowed[$name] $Loaded
    $command = Get-Command -Name $name -Module $Allowed[$name] -CommandType 'Cmdlet', 'Function'
    try { $splat = Get-Arguments $command $Call.args } catch { throw "$Mark$($name): $($_.Exception.Message)" }
    $splat['ErrorAction'] = 'Stop'
    if ($null -eq $Call.from) { return , @(& $command @splat) }
    $in = Invoke-Call $Call.from $Loaded
    return , @($in | & $command @splat)
}

function Invoke-Result($Call, $Loaded) {
    try {
        $objects = Invoke-Call $Call $Loaded
        $rows = New-Object Collections.ArrayList
        if ($null -ne $Call.select) {
            foreach ($object in $objects) {
                if ($null -eq $object) { continue }
                $row = @{}
                foreach ($path in $Call.select) { $row[[string]$path] = ConvertTo-Plain (Get-Dotted $object $path) }
                $null = $rows.Add($row)
            }
        }
        return @{ ok = $true; value = $rows.ToArray() }
    } catch {
        $text = [string]$_.Exception.Message
        if ($text.StartsWith($Mark)) { return New-Refusal $text.Substring($Mark.Length) }
        return New-Failure $_
    }
}

$Mark = 'refused ' + $Nonce + ' '
$System = [Environment]::OSVersion.Version
# No module is loaded for this: the first words must not wait for one.
$Free = $null
try {
    Add-Type -AssemblyName Microsoft.VisualBasic
    $Free = [long](New-Object Microsoft.VisualBasic.Devices.ComputerInfo).AvailablePhysicalMemory
} catch { $Free = $null }
Write-Frame 'hello' @{
    agent = 1
    host = [Environment]::MachineName
    ps = $PSVersionTable.PSVersion.ToString()
    os = "$($System.Major).$($System.Minor).$($System.Build)"
    pid = $PID
    language = [string]$ExecutionContext.SessionState.LanguageMode
    utc = [datetime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [Globalization.CultureInfo]::InvariantCulture)
    free_memory = $Free
}

while ($true) {
    $Deadman.Due = $Clock.ElapsedMilliseconds + $IdleLimit
    try { $line = $Reader.ReadLine() } catch { $line = $null }
    if ($null -eq $line) { break }
    $start = $Clock.ElapsedMilliseconds
    try {
        $words = $line.Trim().Split(' ')
        if ($words.Length -ne 3) { throw "a line of $($words.Length) words" }
        $id = [Convert]::ToInt64($words[0], 10)
        $limit = [Convert]::ToInt64($words[1], 10)
        $Deadman.Due = $start + $limit + $Grace
        $json = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($words[2]))
        $request = ConvertFrom-Json -InputObject $json
    } catch {
        Write-Frame 'fatal' @{ message = [string]$_.Exception.Message }
        break
    }
    $loaded = @{}
    $results = New-Object Collections.ArrayList
    foreach ($call in @($request.calls)) {
        if ($null -eq $call) { continue }
        $result = Invoke-Result $call $loaded
        $null = $results.Add($result)
        if (-not $result.ok -and $request.stop_on_error -ne $false) { break }
    }
    Write-Frame ([string]$id) @{
        results = $results.ToArray(); ms = $Clock.ElapsedMilliseconds - $start; modules = $loaded
    }
}
# What was started as a job may still have to go out, where the process ends right after its only request.
$running = @(Get-Job -State Running)
if ($running.Count -gt 0) { $null = Wait-Job -Job $running -Timeout 5 }
# The deadman's runspace would keep the process until its next look.
[Environment]::Exit(0)
