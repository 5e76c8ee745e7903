#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of the Python module, on the device. They control the syncs of a file of
# afsync_sim.
#
#	selftests/afsync/python_test.sh		as root, with afsync and afsync_sim loaded
#
# $OUTPUT is the directory of the built selftests; $TEST_DIR is the directory of the files that
# they sync (/mnt/ext4 if there is one).

set -euo pipefail

readonly SKIP=4
here=$(cd "$(dirname "$0")" && pwd)
skip_all() { echo "1..0 # SKIP $*"; exit $SKIP; }

# In a mount namespace of its own.
if [ "${1:-}" != inside ]; then
	[ -e /dev/afsync ] || skip_all "no /dev/afsync"
	[ "$(id -u)" = 0 ] || skip_all "needs root to mount"
	command -v python3 >/dev/null || skip_all "no python3"
	exec unshare -m "$0" inside
fi

export AFSYNC_ENGINE=device TEST_DIR=${TEST_DIR:-/mnt/ext4}
[ -d "$TEST_DIR" ] || TEST_DIR=/var/tmp
export LD_LIBRARY_PATH=${OUTPUT:-$here}/lib
if grep -q '[[:space:]]afsync_sim$' /proc/filesystems; then
	AFSYNC_SIM_DIR=$(mktemp -d)
	export AFSYNC_SIM_DIR
	mount -t afsync_sim none "$AFSYNC_SIM_DIR"
fi
exec python3 -W error "$here/../../tools/lib/afsync/tests/python_test.py"
