#!/bin/sh
# Makes an image of the base: PiCloud's packages, its settings, and nothing that belongs to one machine or one build.
# usage: finish.sh ROOT RECIPE-FOLDER VARIANT PACKAGE…
set -eu
root=$1 recipe=$2 variant=$3
shift 3

if [ $# -gt 0 ]; then
    mkdir "$root/var/tmp/packages"
    cp "$@" "$root/var/tmp/packages/"
    chroot "$root" sh -c 'dpkg --install /var/tmp/packages/*.deb'
fi

sh "$recipe/steps/lay.sh" "$root" "$recipe/rootfs"
sh "$recipe/steps/lay.sh" "$root" "$recipe/variants/$variant"
printf '127.0.1.1  %s\n' "$(cat "$root/etc/hostname")" >>"$root/etc/hosts"

# In the order of the file: to enable one unit may enable others.
grep -E '^(enable|disable) ' "$root/usr/lib/systemd/system-preset/10-picloud-image.preset" | while read -r verb unit; do
    chroot "$root" systemctl "$verb" --quiet "$unit"
done

# What belongs to one machine is made on its first boot.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_* "$root/var/lib/systemd/random-seed"
# What belongs to this build, or is made again when it is missed.
rm -f "$root"/etc/*- "$root"/var/lib/dpkg/*-old "$root"/var/cache/debconf/*-old "$root/var/cache/ldconfig/aux-cache"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/tmp/* "$root"/root/.cache
find "$root/var/log" -type f -delete
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
# Caches, accounts and the catalogue were made while packages were installed: the first boot need not make them again.
touch "$root/etc/.updated" "$root/var/.updated"
