#!/bin/sh
# Makes the disk of a root file system: its boot folder as FAT, the rest as ext4, a partition table before both.
# Mounts nothing and needs no loop device. Dates come from SOURCE_DATE_EPOCH, identifiers from the environment, so
# that the same root gives the same bytes.
# usage: BOOT_MIB= BOOT_LABEL= BOOT_VOLUME_ID= ROOT_SPARE_MIB= ROOT_LABEL= ROOT_UUID= ROOT_HASH_SEED= ALIGN_MIB=
#        DISK_SIGNATURE= disk.sh ROOT.tar FOLDER        writes FOLDER/disk.img
set -eu
tar=$1 folder=$2
export MTOOLS_SKIP_CHECK=1 TZ=UTC

mkdir "$folder/root"
sh "$(dirname "$0")/unpack.sh" "$tar" "$folder/root"
boot=$folder/root/boot/firmware

mkfs.fat -F 32 -n "$BOOT_LABEL" -i "$BOOT_VOLUME_ID" --invariant -C "$folder/boot.vfat" $((BOOT_MIB * 1024)) >/dev/null
(
    cd "$boot"
    find . -mindepth 1 -type d | LC_ALL=C sort | while read -r name; do mmd -i "$folder/boot.vfat" "::$name"; done
    find . -type f | LC_ALL=C sort | while read -r name; do mcopy -m -i "$folder/boot.vfat" "$name" "::$name"; done
)
rm -r "$boot"
mkdir "$boot"
touch -d "@$SOURCE_DATE_EPOCH" "$boot" "$folder/root/boot"

used_mib=$(du -s -m "$folder/root" | cut -f 1)
# A twentieth for the file system's own tables, its journal, and what people may still need.
size_mib=$((used_mib + used_mib / 20 + 32 + ROOT_SPARE_MIB))
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
mke2fs -q -t ext4 -L "$ROOT_LABEL" -U "$ROOT_UUID" -m 1 -J size=32 \
    -E "hash_seed=$ROOT_HASH_SEED,lazy_itable_init=0,lazy_journal_init=0" -d "$folder/root" "$folder/root.ext4" "${size_mib}M"
# mke2fs copies the moments at which the files were unpacked here; one date holds for all.
count=$(dumpe2fs -h "$folder/root.ext4" 2>/dev/null | awk -F: '/^Inode count|^Free inodes/ { print $2 + 0 }' | paste -s -d ' ')
inodes=$((${count% *} - ${count#* }))
seq 1 "$inodes" | while read -r inode; do
    for field in ctime atime crtime; do
        printf 'set_inode_field <%s> %s @%s\nset_inode_field <%s> %s_extra 0\n' "$inode" "$field" "$SOURCE_DATE_EPOCH" "$inode" "$field"
    done
done >"$folder/dates"
debugfs -w -f "$folder/dates" "$folder/root.ext4" >/dev/null 2>&1
e2fsck -f -n "$folder/root.ext4" >"$folder/e2fsck.log" || { cat "$folder/e2fsck.log" >&2; exit 1; }

cat >"$folder/genimage.cfg" <<END
image disk.img {
    hdimage {
        align = ${ALIGN_MIB}M
        partition-table-type = "mbr"
        disk-signature = 0x$DISK_SIGNATURE
    }
    partition boot {
        partition-type = 0xC
        bootable = true
        image = "boot.vfat"
    }
    partition root {
        partition-type = 0x83
        image = "root.ext4"
    }
}
END
mkdir "$folder/none" "$folder/genimage"
genimage --loglevel 1 --config "$folder/genimage.cfg" --rootpath "$folder/none" --tmppath "$folder/genimage" \
    --inputpath "$folder" --outputpath "$folder"
rm -r "$folder/root" "$folder/none" "$folder/genimage" "$folder/boot.vfat" "$folder/root.ext4" "$folder/dates"
