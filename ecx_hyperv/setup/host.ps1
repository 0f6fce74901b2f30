# 1. Features. Hyper-V needs a restart; nothing is restarted from here.
$Features = 'Hyper-V', 'Hyper-V-PowerShell', 'Failover-Clustering', 'RSAT-Clustering-PowerShell'
Step 'features Hyper-V and Failover Clustering' {
    @(Get-WindowsFeature -Name $Features | Where-Object { "$($_.InstallState)" -ne 'Installed' }).Count -eq 0
} {
    Install-WindowsFeature -Name $Features -IncludeManagementTools
}
if (@(Get-WindowsFeature -Name $Features | Where-Object { "$($_.InstallState)" -ne 'Installed' }).Count -ne 0) {
    Write-Output 'the rest needs these features: run this with -Apply, restart the host, and run it again'
    exit 1
}

# 2. Virtual switches. A switch takes its adapter's address over; a connection through that adapter may break here.
foreach ($one in $Switches) {
    Step "virtual switch $($one.Name) on adapter $($one.Adapter)" {
        @(Get-VMSwitch | Where-Object { $_.Name -eq $one.Name -and "$($_.SwitchType)" -eq 'External' }).Count -eq 1
    } {
        New-VMSwitch -Name $one.Name -NetAdapterName $one.Adapter -AllowManagementOS $true
    }
}
if ($Switches.Count -eq 0) { Note 'virtual switches for management, mirroring, iSCSI and VMs (--switch NAME=ADAPTER)' }

# 3. Live migration.
Step 'live migration allowed' {
    (Get-VMHost).VirtualMachineMigrationEnabled
} {
    Enable-VMMigration
}
Step "live migration by $Authentication, $Parallel at a time" {
    $now = Get-VMHost
    "$($now.VirtualMachineMigrationAuthenticationType)" -eq $Authentication -and
        $now.MaximumVirtualMachineMigrations -ge $Parallel
} {
    Set-VMHost -VirtualMachineMigrationAuthenticationType $Authentication -MaximumVirtualMachineMigrations $Parallel
}

# 4. The EC-VM of this host starts by itself, after the host's own network.
if (@(Get-VM | Where-Object { $_.Name -eq $EcVm }).Count -eq 0) {
    Note "create the EC-VM $EcVm, with three adapters and a second disk for the mirror, and run this again"
}
else {
    Step "EC-VM $EcVm always starts with the host, after $EcVmDelay s" {
        $now = Get-VM -Name $EcVm
        "$($now.AutomaticStartAction)" -eq 'Start' -and $now.AutomaticStartDelay -ge $EcVmDelay
    } {
        Set-VM -Name $EcVm -AutomaticStartAction Start -AutomaticStartDelay $EcVmDelay
    }
}

# 5. iSCSI initiator. Its name goes into "ecx-hyperv setup iscsi --initiator" on the EC-VMs, before it can log in.
Step 'service MSiSCSI starts with Windows, and runs' {
    $now = Get-Service -Name 'MSiSCSI'
    "$($now.StartType)" -eq 'Automatic' -and "$($now.Status)" -eq 'Running'
} {
    Set-Service -Name 'MSiSCSI' -StartupType Automatic
    Start-Service -Name 'MSiSCSI'
}
$Initiators = @(Get-InitiatorPort -ErrorAction SilentlyContinue | Where-Object { $_.NodeAddress -like 'iqn.*' })
Write-Output "initiator of this host: $($Initiators.NodeAddress)"
Step "iSCSI portal $Portal" {
    @(Get-IscsiTargetPortal | Where-Object { $_.TargetPortalAddress -eq $Portal }).Count -gt 0
} {
    New-IscsiTargetPortal -TargetPortalAddress $Portal
}
function Sessions { Get-IscsiSession | Where-Object { $_.TargetNodeAddress -eq $Target -and $_.IsConnected } }
Step "iSCSI target $Target connected" {
    @(Sessions).Count -gt 0
} {
    Update-IscsiTargetPortal -TargetPortalAddress $Portal
    Connect-IscsiTarget -NodeAddress $Target -TargetPortalAddress $Portal -IsPersistent $true
}
Step "iSCSI target $Target is connected again after a restart" {
    @(Sessions | Where-Object { $_.IsPersistent }).Count -gt 0
} {
    foreach ($one in @(Sessions)) { Register-IscsiSession -SessionIdentifier $one.SessionIdentifier }
}

# 6. The cluster. Creating it needs a login with rights in the domain, at one of the hosts.
function LocalCluster { try { Get-Cluster } catch { $null } }
$Cluster = LocalCluster
if ($null -eq $Cluster) {
    if ($ClusterName -eq '') { Note 'create the cluster of both hosts (or: --cluster, --cluster-address, --cluster-node)' }
    else {
        Step "cluster $ClusterName of $($ClusterNodes -join ' and ') on $ClusterAddress" {
            $null -ne (LocalCluster)
        } {
            New-Cluster -Name $ClusterName -Node $ClusterNodes -StaticAddress $ClusterAddress -NoStorage
        }
        $Cluster = LocalCluster
    }
}
if ($null -eq $Cluster) {
    Write-Output 'the rest needs the cluster'
    exit 1
}

# 7. WSFC keeps out of recovery: ECX decides where a VM runs.
Step "ResiliencyDefaultPeriod $Resiliency" {
    (Get-Cluster).ResiliencyDefaultPeriod -eq $Resiliency
} {
    (Get-Cluster).ResiliencyDefaultPeriod = $Resiliency
}
Step "QuarantineThreshold $Quarantine" {
    (Get-Cluster).QuarantineThreshold -eq $Quarantine
} {
    (Get-Cluster).QuarantineThreshold = $Quarantine
}

# A cluster of Windows Server 2022 and later has a number of its own, which overrides that of Set-VMHost.
if ($null -ne (Get-Cluster).MaximumParallelMigrations) {
    Step "$Parallel live migrations at a time are allowed by the cluster" {
        (Get-Cluster).MaximumParallelMigrations -ge $Parallel
    } {
        (Get-Cluster).MaximumParallelMigrations = $Parallel
    }
}

# 8. Networks, told apart by their addresses. Role 0 keeps the cluster off a network, 3 is cluster and client. One
# mistyped address would take a network from the cluster that it needs, so all must be known before any is changed.
$Networks = @(Get-ClusterNetwork)
# Not $Networks.Address, which is a method of every array.
$Known = @($Networks | ForEach-Object { $_.Address })
function Unknown([string[]]$Given) {
    $unknown = @($Given | Where-Object { $Known -notcontains $_ })
    if ($unknown.Count) { "the cluster has no network $($unknown -join ', '), only $($Known -join ', ')" }
}
if ($ClusterNetworks.Count -eq 0) { Note 'cluster networks: only management and mirroring (--cluster-network ADDRESS)' }
elseif (Unknown $ClusterNetworks) { Wrong "cluster networks: $(Unknown $ClusterNetworks)" }
else {
    # Roles are given before others are taken: the cluster refuses to be left without a network.
    foreach ($one in @($Networks | Sort-Object { $ClusterNetworks -notcontains $_.Address })) {
        $wanted = if ($ClusterNetworks -contains $one.Address) { 3 } else { 0 }
        Step "cluster network $($one.Name) ($($one.Address)) has role $wanted" {
            [int](Get-ClusterNetwork -Name $one.Name).Role -eq $wanted -or ($wanted -and [int]$one.Role -eq 1)
        } {
            (Get-ClusterNetwork -Name $one.Name).Role = $wanted
        }
    }
}
if ($MigrationNetworks.Count -eq 0) { Note 'live migration settings: only the VM network (--migration-network ADDRESS)' }
elseif (Unknown $MigrationNetworks) { Wrong "live migration networks: $(Unknown $MigrationNetworks)" }
else {
    $excluded = @($Networks | Where-Object { $MigrationNetworks -notcontains $_.Address } |
        ForEach-Object { "$($_.Id)" } | Sort-Object)
    Step "live migration over $($MigrationNetworks -join ', ') only" {
        $now = (Get-ClusterResourceType -Name 'Virtual Machine' |
            Get-ClusterParameter -Name 'MigrationExcludeNetworks' -ErrorAction SilentlyContinue).Value
        (@("$now".Split(';') | Where-Object { $_ } | Sort-Object) -join ';') -eq ($excluded -join ';')
    } {
        Get-ClusterResourceType -Name 'Virtual Machine' |
            Set-ClusterParameter -Name 'MigrationExcludeNetworks' -Value ($excluded -join ';')
    }
}

# 9. The served disk as a Cluster Shared Volume. Formatting happens with -FormatDisk only, and only to an empty disk.
function ServedDisk { @(Get-IscsiSession | Where-Object { $_.TargetNodeAddress -eq $Target } | Get-Disk)[0] }
Step "Shared Volume $Csv" {
    @(Get-ClusterSharedVolume | Where-Object { $_.Name -eq $Csv }).Count -eq 1
} {
    $resource = Get-ClusterResource | Where-Object { $_.Name -eq $Csv }
    if ($null -eq $resource) {
        $disk = ServedDisk
        if ($null -eq $disk) { throw 'the iSCSI target shows no disk here' }
        # A disk that is offline may show as RAW although it holds data, so it is looked at once more when it is online.
        if ("$($disk.PartitionStyle)" -eq 'RAW' -and $disk.IsOffline) {
            Set-Disk -Number $disk.Number -IsOffline $false
            $disk = Get-Disk -Number $disk.Number
        }
        if ("$($disk.PartitionStyle)" -eq 'RAW') {
            if (-not $FormatDisk) { throw 'its disk is empty: at one of the hosts, run this with -Apply -FormatDisk' }
            if ($disk.IsReadOnly) { Set-Disk -Number $disk.Number -IsReadOnly $false }
            Initialize-Disk -Number $disk.Number -PartitionStyle GPT
            New-Partition -DiskNumber $disk.Number -UseMaximumSize | Format-Volume -FileSystem NTFS -Confirm:$false
        }
        $resource = Get-ClusterAvailableDisk -Disk (Get-Disk -Number $disk.Number) | Add-ClusterDisk
        if ($null -eq $resource) { throw 'the cluster does not offer the disk: see that both hosts are connected to it' }
        $resource.Name = $Csv
    }
    Add-ClusterSharedVolume -Name $Csv
}

# 10. Quorum witness.
if ($Witness -eq '') { Note 'quorum: a disk witness on a disk outside both hosts (--witness "Cluster Disk 2")' }
else {
    Step "disk witness $Witness" {
        (Get-ClusterQuorum).QuorumResource.Name -eq $Witness
    } {
        Set-ClusterQuorum -NodeAndDiskMajority $Witness
    }
}

# 11. The protected VMs: in the cluster, but neither failed over, failed back, restarted, started nor saved by anything
# but ECX. A role need not be called like its VM: the VM's id leads to the role, and without an id the role's name.
function Named([string]$Name) { @(Get-VM | Where-Object { $_.Name -eq $Name }) }
function IdOf($Resource) { "$(($Resource | Get-ClusterParameter -Name 'VmId').Value)".Trim([char[]]'{}') }
function Machine($Vm) {
    $ids = @($Vm.Id | Where-Object { $_ })
    if ($ids.Count -eq 0) { $ids = @(Named $Vm.Name | ForEach-Object { "$($_.Id)" }) }
    $all = @(Get-ClusterResource | Where-Object { $_.ResourceType.Name -eq 'Virtual Machine' })
    $found = @($all | Where-Object { $ids -contains (IdOf $_) })
    if ($found.Count -eq 0 -and -not $Vm.Id) { $found = @($all | Where-Object { $_.OwnerGroup.Name -eq $Vm.Role }) }
    if ($found.Count -gt 1) { throw "$($found.Count) VMs of the cluster may be meant: write id in its [[vm]]" }
    $found
}
# The VM on this host, without those that only bear its name; before the VM is in the cluster, what bears its name.
function Here($Vm) {
    $found = Machine $Vm
    if ($null -eq $found) { return Named $Vm.Name }
    $id = IdOf $found
    Get-VM | Where-Object { "$($_.Id)" -eq $id }
}
function Setting($Vm, [string]$Property) { (Machine $Vm | Get-ClusterParameter -Name $Property).Value }
for ($at = 0; $at -lt $VMs.Count; $at++) {
    $vm = @{ Name = $VMs[$at]; Role = $Roles[$at]; Id = $Ids[$at] }
    $name = $vm.Name
    try { $found = Machine $vm } catch { Wrong "VM ${name}: $($_.Exception.Message)"; continue }
    $here = @(Here $vm)
    if ($null -eq $found -and $vm.Id) { Wrong "VM ${name}: the cluster has no VM with the id $($vm.Id)"; continue }
    if ($here.Count -gt 1) { Wrong "VM ${name}: $($here.Count) VMs of that name are here: rename the others"; continue }
    if ($null -eq $found -and $here.Count -eq 0) { Note "create the VM $name on the Shared Volume"; continue }
    if ($here.Count) {
        Step "VM $name in the cluster" {
            $null -ne (Machine $vm)
        } {
            Add-ClusterVirtualMachineRole -VMName $name
        }
        # The stop action cannot be changed while the VM runs; shut it down first.
        Step "VM $name is started by ECX only, and shut down with its host" {
            $now = Here $vm
            "$($now.AutomaticStartAction)" -eq 'Nothing' -and "$($now.AutomaticStopAction)" -eq 'ShutDown'
        } {
            $now = Here $vm
            if ("$($now.AutomaticStartAction)" -ne 'Nothing') { $now | Set-VM -AutomaticStartAction Nothing }
            if ("$($now.AutomaticStopAction)" -ne 'ShutDown') { $now | Set-VM -AutomaticStopAction ShutDown }
        }
    }
    else { Note "the VM $name is on the other host: its start and stop actions are set by the script run there" }
    Step "VM $name is not failed over by WSFC" {
        $now = Get-ClusterGroup -Name (Machine $vm).OwnerGroup.Name
        $now.FailoverThreshold -eq 0 -and $now.FailoverPeriod -eq 0 -and $now.AutoFailbackType -eq 0
    } {
        $now = Get-ClusterGroup -Name (Machine $vm).OwnerGroup.Name
        $now.FailoverThreshold = 0
        $now.FailoverPeriod = 0
        $now.AutoFailbackType = 0
    }
    # WSFC may restart a guest in place, or fail one whose heartbeat is lost, while ECX decides about it too.
    Step "VM $name is not restarted by WSFC" {
        (Machine $vm).RestartAction -eq $RestartAction
    } {
        $now = Machine $vm
        $now.RestartAction = $RestartAction
    }
    Step "VM $name does not fail in WSFC where its heartbeat is lost" {
        (Setting $vm 'CheckHeartbeat') -eq $CheckHeartbeat
    } {
        Machine $vm | Set-ClusterParameter -Name 'CheckHeartbeat' -Value $CheckHeartbeat
    }
    # OfflineAction 0 would cut the power of a guest that is stopped through the cluster.
    Step "VM $name keeps its data when WSFC takes it offline (OfflineAction $($OfflineActions -join ', '))" {
        $OfflineActions -contains (Setting $vm 'OfflineAction')
    } {
        Machine $vm | Set-ClusterParameter -Name 'OfflineAction' -Value $OfflineActions[0]
    }
}
if ($script:Failed) { exit 1 }
