#!/bin/sh
# genw.sh of the custom monitor genw-remote-node: keep the other EC-VM, and the ECX on it, up.
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
exec genw-remote-node "$@"
