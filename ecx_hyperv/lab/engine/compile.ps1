# Compiles the stand-ins' sources in a folder: what all share first.
param([string]$Folder)
$ErrorActionPreference = 'Stop'
$known = @((Get-ChildItem -Path "$PSHOME/ref/*.dll").FullName) + [psobject].Assembly.Location
$shared = Join-Path $Folder 'Shared.dll'
Add-Type -Path (Join-Path $Folder 'Shared.cs') -OutputAssembly $shared -ReferencedAssemblies $known
foreach ($source in Get-ChildItem -Path $Folder -Filter '*.cs' | Where-Object { $_.BaseName -ne 'Shared' }) {
    $target = Join-Path $Folder ($source.BaseName + '.dll')
    Add-Type -Path $source.FullName -OutputAssembly $target -ReferencedAssemblies ($known + $shared)
}
