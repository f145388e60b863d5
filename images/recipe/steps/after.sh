#!/bin/sh
# After the last package of the base: Python's modules, and the one initrd, which fills the boot partition.
# usage: after.sh ROOT
set -eu
root=$1

rm "$root/usr/sbin/py3compile" "$root/usr/sbin/py3clean"
chroot "$root" python3 -m compileall -q /usr/lib/python3/dist-packages
# With INITRD=No in the environment the kernel's own hooks made none.
unset INITRD
chroot "$root" update-initramfs -c -k all
