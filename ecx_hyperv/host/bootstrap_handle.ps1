$ProgressPreference='SilentlyContinue';$ErrorActionPreference='Stop'
$c=[Console]::OpenStandardInput()
$h=$c.GetType().GetField('_handle',[Reflection.BindingFlags]'Instance,NonPublic').GetValue($c)
$f=New-Object IO.FileStream($h,[IO.FileAccess]::Read,4096,$false)
$r=New-Object IO.StreamReader($f,[Text.Encoding]::ASCII,$false,4096)
$a=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($r.ReadLine()))
& ([ScriptBlock]::Create($a)) $r 'NONCE' $a
