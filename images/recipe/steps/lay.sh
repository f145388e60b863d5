#!/bin/sh
# Lays a folder over a root file system with root's ownership and plain modes, whatever the checkout has.
# usage: lay.sh ROOT FOLDER
set -eu
root=$1 folder=$2

cd "$folder"
find . -mindepth 1 -type d -exec sh -c '[ -d "$0/$1" ] || mkdir -m 755 "$0/$1"' "$root" {} \;
find . -type f ! -perm /100 -exec install -m 644 {} "$root/{}" \;
find . -type f -perm /100 -exec install -m 755 {} "$root/{}" \;
