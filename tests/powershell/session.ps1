# Runs scripts, each in a runspace of its own, so that the start of a process is paid once. Each line of stdin is base64
# of JSON: a script's path, its switches and ProgramData. What came of the script is one such line, with a mark before.
$profilePath = Join-Path $env:XDG_CONFIG_HOME 'powershell/profile.ps1'
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $job = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line)) | ConvertFrom-Json
    $env:ProgramData = $job.folder
    $said = @(); $errors = @()
    $shell = [PowerShell]::Create()
    try {
        $null = $shell.AddScript(". '$profilePath'").Invoke()
        $shell.Commands.Clear()
        $said = @($shell.AddScript("& '$($job.path)' $($job.switches); [int]`$LASTEXITCODE").Invoke())
        $errors = @($shell.Streams.Error)
    }
    catch { $said = @(1); $errors = @($_) }
    finally { $shell.Runspace.Dispose(); $shell.Dispose() }
    $lines = @($said | Select-Object -SkipLast 1 | ForEach-Object { [string]$_ })
    $came = @{ code = $said[-1]; lines = $lines; stderr = ($errors | ForEach-Object { [string]$_ }) -join "`n" }
    $bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -Compress -InputObject $came))
    [Console]::Out.WriteLine('came: ' + [Convert]::ToBase64String($bytes))
}
