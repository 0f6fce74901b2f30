# sshd: the one that Windows Server 2019 and later bring; where Windows Update cannot be reached, install the feature
# on demand OpenSSH.Server from the languages and features disk, or Win32-OpenSSH, by hand, and run this again.
Step 'OpenSSH server installed' {
    @(Get-Service -Name 'sshd' -ErrorAction SilentlyContinue).Count -gt 0
} {
    Add-WindowsCapability -Online -Name 'OpenSSH.Server~~~~0.0.1.0'
}
if (@(Get-Service -Name 'sshd' -ErrorAction SilentlyContinue).Count -eq 0) {
    Write-Output 'the rest needs the OpenSSH server'
    exit 1
}
Step 'service sshd starts with Windows' {
    "$((Get-Service -Name 'sshd').StartType)" -eq 'Automatic'
} {
    Set-Service -Name 'sshd' -StartupType Automatic
}
# Its first start makes the host's keys and sshd_config.
Step 'service sshd runs' {
    "$((Get-Service -Name 'sshd').Status)" -eq 'Running'
} {
    Start-Service -Name 'sshd'
}

$Folder = Join-Path $env:ProgramData 'ssh'
$KeyFile = Join-Path $Folder 'administrators_authorized_keys'
$ConfigFile = Join-Path $Folder 'sshd_config'
$Latin1 = [Text.Encoding]::GetEncoding(28591)

# Latin 1 keeps every byte of lines that are not ours. .NET's own reading of lines would honour a byte order mark
# whatever encoding it is told, and what it read could then not be written any more.
function ReadLines([string]$Path) {
    if (-not (Test-Path -LiteralPath $Path)) { return }
    $text = $Latin1.GetString([IO.File]::ReadAllBytes($Path))
    if ($text -cmatch '\A(\xFF\xFE|\xFE\xFF)') { throw "$Path is UTF-16, which sshd does not read: save it as UTF-8" }
    # The mark of UTF-8 means something at the head of a file only, where it does not stay.
    $text = $text -creplace '\A\xEF\xBB\xBF', ''
    if ($text -eq '') { return }
    ($text -creplace '\r?\n\z', '') -split '\r?\n'
}

# The key of a line of authorized_keys, without options, kind and comment; empty for a line that has none. Options end
# at the first blank outside of quotes: a word of a command in them is no key.
function KeyOf([string]$Line) {
    $kind = '(?:ssh-|ecdsa-|sk-)\S+'
    $text = $Line.Trim()
    if ($text -cnotmatch "\A$kind\s" -and $text -cmatch '\A(?:[^\s"#]|"(?:[^"\\]|\\.)*")+\s+(?<rest>.*)\z') {
        $text = $Matches['rest']
    }
    if ($text -cmatch "\A$kind\s+(?<blob>[A-Za-z0-9+/]+=*)(\s|\z)") { return $Matches['blob'] }
    return ''
}
# A key stands there once, with the options that are given here. A line that somebody gave a command of its own lets the
# key do less than ours, and stays.
function MergedKeys {
    $blobs = @($Keys | ForEach-Object { KeyOf $_ })
    $seen = @()
    foreach ($line in @(ReadLines $KeyFile | Where-Object { $_.Trim() -ne '' })) {
        $blob = KeyOf $line
        if ($blob -eq '' -or $blobs -cnotcontains $blob) { $line; continue }
        if ($seen -ccontains $blob) { continue }
        if ($Keys -ccontains $line -or $line -cmatch '\A\s*(?:[^\s"]|"(?:[^"\\]|\\.)*")*(?<=\A\s*|,)command="') {
            $seen += $blob
            $line
        }
    }
    $Keys | Where-Object { $seen -cnotcontains (KeyOf $_) }
}
Step 'the keys of the EC-VMs, each restricted' {
    (Test-Path -LiteralPath $KeyFile) -and (@(ReadLines $KeyFile) -join "`n") -ceq (@(MergedKeys) -join "`n")
} {
    [IO.File]::WriteAllLines($KeyFile, [string[]]@(MergedKeys), $Latin1)
}
# Full control for Administrators and SYSTEM, one of which owns it; in Windows' own notation, since their names are in
# Windows' own language. sshd silently ignores the file if anyone else owns it or may write it, up to 8.1 also if anyone
# else may read it, and newer ones if a rule denies something.
$Fine = '\AO:(BA|SY)D:P(AI|AR)*(\(A;;FA;;;BA\)\(A;;FA;;;SY\)|\(A;;FA;;;SY\)\(A;;FA;;;BA\))\z'
Step 'that file for Administrators and SYSTEM only' {
    if (-not (Test-Path -LiteralPath $KeyFile)) { return $false }
    (Get-Acl -LiteralPath $KeyFile).GetSecurityDescriptorSddlForm('Owner, Access') -cmatch $Fine
} {
    $acl = New-Object Security.AccessControl.FileSecurity
    $acl.SetSecurityDescriptorSddlForm('O:BAG:SYD:P(A;;FA;;;BA)(A;;FA;;;SY)')
    Set-Acl -LiteralPath $KeyFile -AclObject $acl
}

# A program installed by hand is not on PATH; its folder is where the service's program lies.
function ServiceProgram {
    $path = (Get-CimInstance -ClassName Win32_Service -Filter "Name = 'sshd'").PathName
    if ($path -match '\A"([^"]+)"' -or $path -match '\A(.+?\.exe)(\s|\z)') { return $Matches[1] }
    return $path
}

# sshd takes the first value that it meets, so ours stand first; the rest of the file stays as it is. Our part ends at
# its mark, or at the first line that is none of ours: a mark that somebody deleted must not take the rest with it.
# A port is ours only where nobody else has said it, since sshd would bind it twice; without any it is 22.
function MergedConfig {
    $inside = $false
    $kept = @(foreach ($line in @(ReadLines $ConfigFile)) {
        if ($line -ceq $Settings[0]) { $inside = $true }
        if ($Settings -cnotcontains $line -and $line -cnotmatch '\APort \d+\z') { $inside = $false }
        $isEnd = $line -ceq $Settings[-1]
        if (-not $inside -and -not $isEnd) { $line }
        if ($isEnd) { $inside = $false }
    })
    $tail = @()
    if (@($kept | Where-Object { $_ -match '^\s*Match\s+Group\s+"?administrators"?\s*$' }).Count -eq 0) {
        $tail = 'Match Group administrators', '    AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys'
    }
    $ports = @($kept | ForEach-Object { if ($_ -match '^\s*Port[\s=]+"?(\d+)') { [int]$Matches[1] } })
    if ($ports.Count -eq 0) { $ports = @(22) }
    $own = @(if ($ports -notcontains $Port) { "Port $Port" })
    @($Settings[0]) + $own + $Settings[1..($Settings.Count - 1)] + $kept + $tail
}
Step 'sshd_config: keys only, no empty passwords, dead clients noticed' {
    (@(ReadLines $ConfigFile) -join "`n") -ceq (@(MergedConfig) -join "`n")
} {
    $sshd = ServiceProgram
    $new = "$ConfigFile.ecx-hyperv"
    [IO.File]::WriteAllLines($new, [string[]]@(MergedConfig), $Latin1)
    & $sshd -t -f $new
    if ($LASTEXITCODE -ne 0) { throw "sshd refuses $new, which was left for you to look at; sshd_config is unchanged" }
    if (-not (Test-Path -LiteralPath "$ConfigFile.before-ecx-hyperv")) {
        [IO.File]::Copy($ConfigFile, "$ConfigFile.before-ecx-hyperv")
    }
    # Replacing the content keeps the file's owner and rights.
    [IO.File]::WriteAllBytes($ConfigFile, [IO.File]::ReadAllBytes($new))
    [IO.File]::Delete($new)
    Restart-Service -Name 'sshd'
}

# The rule that comes with sshd lets everyone in.
Step 'firewall: sshd for the EC-VMs' {
    @(Get-NetFirewallRule -Name 'ecx-hyperv-sshd' -ErrorAction SilentlyContinue |
        Where-Object { "$($_.Enabled)" -eq 'True' -and $_.Description -eq $Allowed }).Count -eq 1
} {
    if (@(Get-NetFirewallRule -Name 'ecx-hyperv-sshd' -ErrorAction SilentlyContinue).Count -eq 0) {
        New-NetFirewallRule -Name 'ecx-hyperv-sshd' -DisplayName 'ecx-hyperv: sshd for the EC-VMs' -Enabled False
    }
    Set-NetFirewallRule -Name 'ecx-hyperv-sshd' -Enabled True -Direction Inbound -Action Allow -Profile Any `
        -Protocol TCP -LocalPort "$Port" -RemoteAddress $Addresses -Description $Allowed
}
Step 'firewall: sshd for nobody else' {
    @(Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -ErrorAction SilentlyContinue |
        Where-Object { "$($_.Enabled)" -eq 'True' }).Count -eq 0
} {
    Set-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -Enabled False
}

$Keygen = Join-Path ([IO.Path]::GetDirectoryName((ServiceProgram))) 'ssh-keygen.exe'
if (Test-Path -LiteralPath $Keygen) {
    Write-Output 'the fingerprints that "ecx-hyperv trust" must show on the EC-VMs:'
    foreach ($key in @(Get-ChildItem -Path (Join-Path $Folder 'ssh_host_*_key.pub'))) {
        & $Keygen -lf $key.FullName
    }
}
else { Note "show the fingerprints of $Folder\ssh_host_*_key.pub by ssh-keygen -lf: there is no $Keygen" }
if ($script:Failed) { exit 1 }
