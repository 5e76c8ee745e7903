#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How long the device keeps a CPU from another thread, with its longest operations, in a VM
# whose clock counts its instructions: tools/bench/preemption.c.
#
#	scripts/bench/preemption.sh		on Debian's kernel as it boots
#	scripts/bench/preemption.sh full	with preempt=full, where only locks count

. "$(dirname "$0")/../lib.sh"

program=$BUILD/tools/bench/afsync-bench-preemption
[ -x "$program" ] || die "the benchmark is not built: run 'make bench-preemption'"
# The disks answer in real time, and the clock jumps meanwhile.
"$TOP/scripts/vm.sh" --no-sim --kernel debian --icount --mem 2048 --timeout 1800 --name bench-preemption \
	--append "${1:+preempt=$1} sysctl.kernel.hung_task_timeout_secs=0" \
	"mount -t tmpfs -o nr_inodes=0,size=75% none /mnt && '$program' /mnt"
