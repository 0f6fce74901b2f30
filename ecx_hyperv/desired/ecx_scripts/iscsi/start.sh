#!/bin/sh
# start.sh of the EXEC resource exec-iscsi: serve the mirror disk as an iSCSI target.
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
echo "starting the iSCSI target"
systemctl start target
code=$?
echo "started the iSCSI target ($code)"
exit $code
