#!/bin/sh
# Before the first package: what the hooks of kernel and firmware read while they are installed.
# usage: before.sh ROOT RECIPE-FOLDER
set -eu
root=$1 recipe=$2

sh "$recipe/steps/lay.sh" "$root" "$recipe/base"

# Python's modules are compiled once at the end, and not by every package for itself in an emulated processor: these
# are found before the real ones, which are in /usr/bin.
mkdir -p "$root/usr/sbin"
for program in py3compile py3clean; do
    printf '#!/bin/sh\n' >"$root/usr/sbin/$program"
    chmod 755 "$root/usr/sbin/$program"
done
