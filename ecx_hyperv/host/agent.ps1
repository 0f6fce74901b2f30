# The agent on a Hyper-V host: reads requests, makes the cmdlet calls they name, writes frames. It decides nothing.
# Windows PowerShell 5.1. ASCII only, in both directions, whatever the host's code page or language.
# Edition 2 of the wire. $Text is this script itself, as the bootstrap ran it.
param($Reader, [string]$Nonce, [string]$Text)

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
    'Get-WinEvent' = 'Microsoft.PowerShell.Diagnostics'
}
# What the agent does itself, and the arguments that it takes.
$BuiltIn = @{
    'Agent-Sleep' = , 'Milliseconds'
    'Agent-Echo' = 'Text', 'Repeat'
    'Agent-VmIds' = @()
    'Agent-ShutdownGuest' = 'Id', 'Force'
}
# What changes something: made only up to the request's not_after, and never to feed or to guard another call.
$Changing = '^((Start|Stop|Move|Resume|Restart|Update)-|Agent-ShutdownGuest$)'
$CimSpace = 'root\virtualization\v2'
# EnabledState of Msvm_ComputerSystem. Any other number is a state on its way to another.
$Enabled = @{
    2 = 'Running'; 3 = 'Off'; 6 = 'Saved'; 9 = 'Paused'; 32768 = 'Paused'; 32769 = 'Saved'; 32779 = 'FastSaved'
}
$Refused = 'Verbose', 'Debug', 'ErrorAction', 'WarningAction', 'InformationAction', 'ErrorVariable', 'WarningVariable',
    'InformationVariable', 'OutVariable', 'OutBuffer', 'PipelineVariable', 'WhatIf', 'Confirm', 'UseTransaction',
    'ComputerName', 'CimSession', 'Credential', 'Cluster', 'AsJob'

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

# Milliseconds since the host's boot: one count for every process, which no change of the clock moves.
function Get-UpMs {
    [long][Math]::Floor([Diagnostics.Stopwatch]::GetTimestamp() * 1000.0 / [Diagnostics.Stopwatch]::Frequency)
}

# What the agent itself says no to is thrown as a text: a mark that no cmdlet can know, the error's id, the words.
function New-Refusal([string]$Marked) {
    $id, $message = $Marked.Substring($Mark.Length).Split([char[]]' ', 2)
    @{ ok = $false; error = @{
        message = $message; id = $id; category = 'InvalidOperation'; exception = $id; code = $null
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
    if ($Value -is [datetime]) {
        $utc = $Value.ToUniversalTime()
        return $utc.ToString('yyyy-MM-ddTHH:mm:ss.fffZ', [Globalization.CultureInfo]::InvariantCulture)
    }
    if ($Value -is [ValueType] -and $Value -is [IConvertible] -and $Value -isnot [char]) {
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

# Stop-VM may cut the power and nothing else: without TurnOff it may cut it too, where the guest cannot be asked.
function Assert-StopIsTurnOff($Splat) {
    if ($Splat['TurnOff'] -isnot [bool] -or -not $Splat['TurnOff']) { throw 'only with TurnOff' }
    if ($Splat.ContainsKey('Force') -or $Splat.ContainsKey('Save')) { throw 'neither Force nor Save' }
}

function Get-Id($Given) {
    $id = [guid]::Empty
    if ($Given -isnot [string] -or -not [guid]::TryParse($Given, [ref]$id)) { throw 'Id is no GUID' }
    return $id.ToString().ToUpperInvariant()
}

function Assert-BuiltIn([string]$Name, $Given) {
    foreach ($property in @($Given.PSObject.Properties)) {
        if ($null -eq $property -or $BuiltIn[$Name] -contains $property.Name) { continue }
        throw "no parameter $($property.Name)"
    }
    if ($Name -ne 'Agent-ShutdownGuest') { return }
    $null = Get-Id $Given.Id
    if ($null -ne $Given.Force -and $Given.Force -isnot [bool]) { throw 'Force is no boolean' }
}

# The ids of the VMs in the cluster's roles, from this host's own copy of the cluster database.
function Get-VmIds {
    try { $keys = @(Get-ChildItem -Path 'HKLM:\Cluster\Resources') }
    catch [Management.Automation.ItemNotFoundException] { throw "${Mark}NoClusterDatabase $($_.Exception.Message)" }
    $groupOf = @{}
    foreach ($key in @(Get-ChildItem -Path 'HKLM:\Cluster\Groups')) {
        $group = Get-ItemProperty -LiteralPath $key.PSPath
        foreach ($resource in @($group.Contains)) { if ($resource) { $groupOf[[string]$resource] = $group.Name } }
    }
    foreach ($key in $keys) {
        $resource = Get-ItemProperty -LiteralPath $key.PSPath
        if ('Virtual Machine', 'Virtual Machine Configuration' -notcontains $resource.Type) { continue }
        $private = $null
        try { $private = Get-ItemProperty -LiteralPath ($key.PSPath + '\Parameters') }
        catch [Management.Automation.ItemNotFoundException] { $private = $null }
        @{
            Resource = $resource.Name; Type = $resource.Type; Group = $groupOf[[string]$key.PSChildName]
            VmId = $private.VmID; Volumes = $private.DependsOnSharedVolumes; OfflineAction = $private.OfflineAction
        }
    }
}

function Get-Cim([string]$Class, [string]$Filter, $Loaded) {
    Import-Needed 'CimCmdlets' $Loaded
    Get-CimInstance -Namespace $CimSpace -ClassName $Class -Filter $Filter -OperationTimeoutSec 10
}

# Returns at once with a code, and cannot cut the power, unlike Stop-VM.
function Invoke-Shutdown($Given, $NotAfter, $Loaded) {
    foreach ($service in @(Get-Cim 'Msvm_ShutdownComponent' "SystemName = '$(Get-Id $Given.Id)'" $Loaded)) {
        if ($null -eq $service) { continue }
        Assert-InTime $NotAfter
        $asked = @{ Force = [bool]$Given.Force; Reason = 'ecx-hyperv' }
        $came = Invoke-CimMethod -InputObject $service -MethodName 'InitiateShutdown' -Arguments $asked
        @{ Code = $came.ReturnValue }
    }
}

# The state as it is now, since Get-VM may repeat what it knew 5 s before; its word counts where that cannot be read.
function Get-FreshState([string]$Known, $Id, $Loaded) {
    # A Critical form counts as the state beneath it.
    $state = $Known -replace 'Critical$', ''
    $number = $null
    try {
        $system = Get-Cim 'Msvm_ComputerSystem' "Name = '$(Get-Id $Id)'" $Loaded
        $number = $system.EnabledState
    } catch { $number = $null }
    if ($null -eq $number) { return $state }
    if ($Enabled.ContainsKey([int]$number)) { return $Enabled[[int]$number] }
    if ($state -eq 'Hibernated') { return $state }
    return "EnabledState $number"
}

# The objects of a call that its "only" leaves.
function Select-Asked($Objects, $Call, $Loaded) {
    if ($null -eq $Call.only) { return , @($Objects) }
    $found = New-Object Collections.ArrayList
    $left = @(foreach ($object in @($Objects)) {
        if ($null -eq $object) { continue }
        $fits = $true
        foreach ($property in $Call.only.PSObject.Properties) {
            $value = [string](Get-Dotted $object $property.Name)
            $wanted = [string[]]@($property.Value)
            if ($Call.cmdlet -eq 'Get-VM' -and $null -ne $Call.args.Id -and $property.Name -eq 'State') {
                $value = Get-FreshState $value $Call.args.Id $Loaded
                $wanted = @($wanted -replace 'Critical$', '')
            }
            if ($wanted -notcontains $value) { $null = $found.Add("$($property.Name) is $value"); $fits = $false }
        }
        if ($fits) { $object }
    })
    if ($left.Count -gt 0) { return , $left }
    if ($found.Count -eq 0) { $null = $found.Add('nothing was found') }
    throw "${Mark}NotAsAsked $($Call.cmdlet): $($found -join '; ')"
}

function Assert-InTime($NotAfter) {
    if ($null -eq $NotAfter) { return }
    $now = Get-UpMs
    if ($now -gt $NotAfter) { throw "${Mark}TooLate it is $now ms, not_after was $NotAfter ms" }
}

function Assert-Guard($Call, $Loaded) {
    if ($null -eq $Call.guard) { return }
    try { $null = Invoke-Asked $Call.guard $Loaded }
    catch {
        $text = [string]$_.Exception.Message
        if ($text.StartsWith($Mark)) { throw $text }
        throw "${Mark}NotAsAsked $($Call.guard.cmdlet) failed: $text [$($_.FullyQualifiedErrorId)]"
    }
}

# Returns what to run, or throws the reason why the call is refused.
function Get-Checked($Call, $Loaded) {
    $name = [string]$Call.cmdlet
    if ($BuiltIn.ContainsKey($name)) {
        try { Assert-BuiltIn $name $Call.args } catch { throw "${Mark}BadRequest $($name): $($_.Exception.Message)" }
        return @{ BuiltIn = $name }
    }
    if (-not $Allowed.ContainsKey($name)) { throw "${Mark}BadRequest $name is not allowed" }
    Import-Needed $Allowed[$name] $Loaded
    $command = Get-Command -Name $name -Module $Allowed[$name] -CommandType 'Cmdlet', 'Function'
    try {
        $splat = Get-Arguments $command $Call.args
        if ($name -eq 'Stop-VM') { Assert-StopIsTurnOff $splat }
    } catch { throw "${Mark}BadRequest $($name): $($_.Exception.Message)" }
    $splat['ErrorAction'] = 'Stop'
    return @{ Command = $command; Splat = $splat }
}

# Returns the objects that a call gives before its "only", as a list. NotAfter is null for a call that changes nothing.
function Invoke-Call($Call, $NotAfter, $Loaded) {
    $checked = Get-Checked $Call $Loaded
    Assert-InTime $NotAfter
    Assert-Guard $Call $Loaded
    $in = $null
    if ($null -ne $Call.from) {
        Assert-ChangesNothing $Call.from
        $in = Invoke-Call $Call.from $null $Loaded
    }
    Assert-InTime $NotAfter
    if ($null -ne $Call.from) {
        $in = Select-Asked $in $Call.from $Loaded
        # That may have waited for an answer.
        Assert-InTime $NotAfter
    }
    switch ($checked.BuiltIn) {
        'Agent-Sleep' { [Threading.Thread]::Sleep([int]$Call.args.Milliseconds); return , @() }
        'Agent-Echo' { return , @(@{ Text = ([string]$Call.args.Text) * [Math]::Max(1, [int]$Call.args.Repeat) }) }
        'Agent-VmIds' { return , @(Get-VmIds) }
        'Agent-ShutdownGuest' { return , @(Invoke-Shutdown $Call.args $NotAfter $Loaded) }
    }
    $command = $checked.Command
    $splat = $checked.Splat
    if ($null -eq $Call.from) { return , @(& $command @splat) }
    return , @($in | & $command @splat)
}

function Assert-ChangesNothing($Call) {
    $name = [string]$Call.cmdlet
    if ($name -match $Changing) { throw "${Mark}BadRequest $name changes something, and can neither feed nor guard" }
}

# Returns the objects of a call that only reads, as its "only" leaves them.
function Invoke-Asked($Call, $Loaded) {
    Assert-ChangesNothing $Call
    return , (Select-Asked (Invoke-Call $Call $null $Loaded) $Call $Loaded)
}

function Invoke-Request($Call, $NotAfter, $Loaded) {
    $name = [string]$Call.cmdlet
    if ($name -notmatch $Changing) { return , (Invoke-Asked $Call $Loaded) }
    if ($NotAfter -isnot [ValueType] -or $NotAfter -is [bool]) { throw "${Mark}BadRequest $($name): no not_after" }
    if ($null -ne $Call.only) { throw "${Mark}BadRequest $($name): only belongs to what feeds or guards it" }
    return , (Invoke-Call $Call $NotAfter $Loaded)
}

function Invoke-Result($Call, $NotAfter, $Loaded) {
    try {
        $objects = Invoke-Request $Call $NotAfter $Loaded
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
        if ($text.StartsWith($Mark)) { return New-Refusal $text }
        return New-Failure $_
    }
}

$Mark = 'refused ' + $Nonce + ' '
$System = [Environment]::OSVersion.Version
# The first line differs from session to session where it carries the nonce.
$Bare = [Text.Encoding]::UTF8.GetBytes(($Text -replace '\A# ecx-hyperv[^\n]*\n', ''))
# The managed one throws where Windows is held to FIPS.
$Hash = (New-Object Security.Cryptography.SHA256CryptoServiceProvider).ComputeHash($Bare)
# No module is loaded for this: the first words must not wait for one.
$Free = $null
try {
    Add-Type -AssemblyName Microsoft.VisualBasic
    $Free = [long](New-Object Microsoft.VisualBasic.Devices.ComputerInfo).AvailablePhysicalMemory
} catch { $Free = $null }
Write-Frame 'hello' @{
    agent = 2
    host = [Environment]::MachineName
    ps = $PSVersionTable.PSVersion.ToString()
    os = "$($System.Major).$($System.Minor).$($System.Build)"
    pid = $PID
    language = [string]$ExecutionContext.SessionState.LanguageMode
    utc = ConvertTo-Plain ([datetime]::UtcNow)
    up_ms = Get-UpMs
    free_memory = $Free
    digest = [BitConverter]::ToString($Hash).Replace('-', '').ToLowerInvariant()
    sent = $null
    installed = $false
    scope = $null
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
        $result = Invoke-Result $call $request.not_after $loaded
        $null = $results.Add($result)
        if (-not $result.ok -and $request.stop_on_error -ne $false) { break }
    }
    Write-Frame ([string]$id) @{
        results = $results.ToArray(); ms = $Clock.ElapsedMilliseconds - $start; up_ms = Get-UpMs; modules = $loaded
    }
}
# The deadman's runspace would keep the process until its next look.
[Environment]::Exit(0)
