"""What the hosts are to be set to, where setup and check must agree, and the parts of the iSCSI target."""

# A host that the others do not hear stays Isolated for this many seconds, the longest that WSFC takes: WSFC recovers
# nothing by itself, ECX decides.
RESILIENCY_S = 9999
# After this many failures within an hour a node is quarantined, which is to say never.
QUARANTINE = 9999
# An EC-VM starts this many seconds after its host.
EC_VM_DELAY_S = 5
# The target that the EC-VMs serve, and the device of the mirror disk that stands behind it.
TARGET = "iqn.1996-10.com.ecx"
MIRROR_DEVICE = "/dev/NMP1"
# What WSFC does with a VM resource by itself (D23): it does not restart a failed one, and does not fail one whose
# guest's heartbeat is lost; ECX decides. When WSFC takes one offline the guest is saved; to shut it down (2, 3) is fine
# too, as a guest with a passed-through device cannot be saved, while 0 would cut its power.
RESTART_ACTION = 0
CHECK_HEARTBEAT = 0
OFFLINE_ACTION = 1
OFFLINE_ACTIONS = (1, 2, 3)
