#!/bin/sh
# Unpacks a root file system with its owners and capabilities; devices are left out, for the kernel makes them.
# usage: unpack.sh ROOT.tar FOLDER
set -eu
tar -C "$2" --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -xpf "$1"
