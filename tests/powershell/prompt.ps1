# A person's prompt: each line of stdin is base64 of what is typed; what came of it is one line, with a mark before it.
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $said = ''
    try {
        $typed = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
        $Error.Clear()
        $null = & ([ScriptBlock]::Create($typed)) 2>$null
        if ($Error.Count) { $said = [string]$Error[0] }
    } catch { $said = [string]$_ }
    [Console]::Out.WriteLine('came: ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($said)))
}
