#!/bin/sh
# genw.sh of a custom monitor genw-VMNAME: 0 while the VM is well on this EC-VM's host, 1 once it has failed there.
# The VM's name comes from CLP_RESOURCENAME, or from the folder that ECX runs this in, or from one argument.
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
case "${PWD##*/}" in exec-* | genw-*) ;; *) cd -- "$(dirname -- "$0")" || : ;; esac
exec genw-vm "$@"
