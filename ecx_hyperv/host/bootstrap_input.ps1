$ProgressPreference='SilentlyContinue';$ErrorActionPreference='Stop'
$r=New-Object IO.StringReader((@($input) -join [string][char]10))
$a=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($r.ReadLine()))
& ([ScriptBlock]::Create($a)) $r 'NONCE' $a
