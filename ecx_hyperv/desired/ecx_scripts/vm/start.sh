#!/bin/sh
# start.sh of an EXEC resource exec-VMNAME: have the VM run on this EC-VM's host.
# The VM's name comes from CLP_RESOURCENAME, or from the folder that ECX runs this in, or from one argument.
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
case "${PWD##*/}" in exec-* | genw-*) ;; *) cd -- "$(dirname -- "$0")" || : ;; esac
exec vm-start "$@"
