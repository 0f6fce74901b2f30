#!/bin/sh
# stop.sh of the EXEC resource exec-iscsi. The stop can hang inside the kernel; ECX's own timeout ends it then.
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
echo "stopping the iSCSI target"
systemctl stop target
code=$?
echo "stopped the iSCSI target ($code)"
exit $code
