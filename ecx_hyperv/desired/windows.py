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
