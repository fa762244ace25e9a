#!/bin/sh
# trim-modules.sh DIRECTORY: removes from its node_modules what no worker on this machine reads: other platforms' programs,
# types and source maps. More than half of it.
set -eu
modules=$1/node_modules
releases=$modules/@temporalio/core-bridge/releases
own=$releases/$(uname -m)-unknown-linux-gnu
[ -d "$own" ] || { echo "$releases has nothing for this machine" >&2; exit 1; }
find "$releases" -mindepth 1 -maxdepth 1 ! -path "$own" -exec rm -r {} +
find "$modules" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
