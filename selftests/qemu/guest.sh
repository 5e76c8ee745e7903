#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# PID 1 of the VM, second stage, on the host's root: sets the machine up, runs the
# command and writes the result to the second serial port. /run/afsync is the run's
# directory on the host: config (shell variables) and cmd. Any other last line than
# "afsync-vm <token> <status> <clean|dirty>" is a failure to the host.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Set by config: token, top, cwd, interactive, cpus, modules, debug, env, and for a
# terminal term, rows and columns.
token='' top='' cwd=/ interactive=0 cpus=1 modules='' debug=0 term=dumb rows=24 columns=80 env=()
# shellcheck disable=SC1091
. /run/afsync/config
status=255
verdict=clean

note() { printf '<5>afsync-vm: %s\n' "$*" >/dev/kmsg; }
dirty() {
	printf '<3>afsync-vm: FAILED: %s\n' "$*" >/dev/kmsg
	verdict=dirty
}

report_and_stop() {
	echo "afsync-vm $token $status $verdict" >/dev/ttyS1
	echo 1 >/proc/sys/kernel/sysrq 2>/dev/null
	# With -no-reboot a reboot ends QEMU; a kernel without ACPI cannot power off.
	echo b >/proc/sysrq-trigger
	reboot -f
}

# need WHAT CMD...: a step of the set-up that must work.
need() {
	local what=$1
	shift
	"$@" 2>/dev/kmsg || { dirty "set-up: $what"; report_and_stop; }
}

mount_all() {
	mkdir -p /dev/pts /mnt/ext4 /mnt/xfs
	need devpts mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
	for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
		ln -sfn "/proc/self/${link#*:}" "/dev/${link%%:*}"
	done
	need cgroup2 mount -t cgroup2 cgroup2 /sys/fs/cgroup
	for c in cpu io memory pids; do
		echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	done
	need debugfs mount -t debugfs debugfs /sys/kernel/debug
	need tracefs mount -t tracefs tracefs /sys/kernel/tracing
	modprobe -q configfs
	mountpoint -q /sys/kernel/config || need configfs mount -t configfs configfs /sys/kernel/config
	for fs in ext4 xfs; do
		modprobe -q $fs
		need $fs mount -t $fs "$(disk $fs)" /mnt/$fs
		chmod 1777 /mnt/$fs
	done
	need loopback ip link set lo up
	hostname afsync-vm
}

# disk NAME: the virtio disk with that serial number.
disk() {
	local d
	for d in /sys/block/vd*; do
		[ "$(cat "$d/serial")" != "$1" ] || echo "/dev/${d##*/}"
	done
}

# port NAME: the virtio port of that name, once the host has sent the name.
port() {
	local p
	while :; do
		for p in /sys/class/virtio-ports/*; do
			[ "$(cat "$p/name" 2>/dev/null)" != "$1" ] || { echo "/dev/${p##*/}"; return; }
		done
		sleep 0.1
	done
}

load_modules() {
	local ko
	for ko in $modules; do
		need "insmod $ko" insmod "$ko"
	done
}

run_command() {
	local out err out_port err_port
	# Found here, not in the processes that open them: kill_rest() would kill these when
	# a short command ends before them.
	out_port=$(port afsync.out)
	err_port=$(port afsync.err)
	# cat in between, so that programs can open /dev/stdout again: a port
	# can be open only once.
	exec {out}> >(exec cat >"$out_port")
	cats=$!
	exec {err}> >(exec cat >"$err_port")
	cats+=" $!"
	cd "$cwd" 2>/dev/null || cd /
	# A session of its own: a command that kills its group must not kill us.
	env "${env[@]}" setsid --wait /bin/bash /run/afsync/cmd \
		</dev/null >&$out 2>&$err {out}>&- {err}>&-
	status=$?
	exec {out}>&- {err}>&-
}

run_shell() {
	cd "$cwd" 2>/dev/null || cd /
	stty -F /dev/hvc0 rows "$rows" cols "$columns" 2>/dev/null
	cats=
	# Drops the cache of the host's files before each command: one may be new.
	# shellcheck disable=SC2016 # the shell expands it
	env "${env[@]}" TERM="$term" PS1='afsync-vm:\w# ' \
		PS0='$(echo 3 >/proc/sys/vm/drop_caches)' \
		setsid --wait --ctty /bin/bash --norc -i </dev/hvc0 >/dev/hvc0 2>&1
	status=$?
}

# No process of the command may be left: then the modules must be unloadable, and
# kmemleak sees the memory that they did not free. The two cats pass on the last output.
kill_rest() {
	local pid p left i
	for i in {1..100}; do
		left=
		for p in /proc/[0-9]*; do
			pid=${p#/proc/}
			[[ " 1 $cats " != *" $pid "* ]] || continue
			# Kernel threads have no executable, nor have zombies.
			[ ! -e "$p/exe" ] || { kill -9 "$pid"; left+=" $pid"; }
		done
		[ -n "$left" ] || break
		[ "$i" = 1 ] || sleep 0.2
	done
	for pid in $left; do
		dirty "process $pid ($(cat "/proc/$pid/comm")) cannot be killed: $(tr '\n' ' ' <"/proc/$pid/stack")"
	done
	# shellcheck disable=SC2086 # a list
	[ -z "$cats" ] || wait $cats
}

unload_modules() {
	local m err i
	for m in afsync_sim afsync; do
		# Not of a driver that is built in.
		[ -e "/sys/module/$m/initstate" ] || continue
		# A killed process may still be closing its files.
		for i in {1..100}; do
			err=$(rmmod $m 2>&1) && continue 2
			sleep 0.2
		done
		dirty "cannot unload the module: $err"
	done
}

scan_leaks() {
	local leaks=/sys/kernel/debug/kmemleak found line
	[ "$debug" = 1 ] || return 0
	[ -e $leaks ] || { dirty "kmemleak does not run"; return; }
	# Objects younger than 5 s are not reported yet, and a first scan only makes
	# candidates.
	echo scan >$leaks
	sleep 6
	echo scan >$leaks
	# Its size is always 0: read it.
	found=$(head -n 60 $leaks)
	[ -n "$found" ] || return 0
	while IFS= read -r line; do printf '<3>%s\n' "$line" >/dev/kmsg; done <<<"$found"
	dirty "kmemleak has found a leak"
}

check_kernel() {
	local taint bad
	taint=$(cat /proc/sys/kernel/tainted)
	# B bad page, D oops, W warning, L soft lockup
	(((taint & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14)) == 0)) || dirty "the kernel is tainted: $taint"
	if [ "$debug" = 1 ] && ! grep -q 'debug_locks: *1' /proc/lockdep_stats; then
		dirty "lockdep has switched itself off: it made a report, or is out of memory"
	fi
	bad=$(dmesg | grep -m 3 -E "$patterns") && dirty "kernel log: $bad"
}

patterns='BUG:|WARNING:|\bOops\b|KASAN:|UBSAN:|ODEBUG:|INFO: (task|possible|rcu|trying|suspicious)|general protection|possible (circular|recursive|irq)|suspicious RCU|held lock freed|bad unlock balance|blocked for more than|rcu: INFO|workqueue lockup|refcount_t:'

# A kernel that found fewer CPUs than QEMU has tests no race.
check_cpus() {
	local online
	online=$(getconf _NPROCESSORS_ONLN)
	[ "$online" = "$cpus" ] || { dirty "set-up: $online of $cpus CPUs run"; report_and_stop; }
}

need configuration test -n "$token"
mount_all
check_cpus
# No udev makes the nodes of the device mapper.
export DM_DISABLE_UDEV=1
export AFSYNC_VM=1 HOME=/root LANG=C.UTF-8 LOGNAME=root USER=root
export SCRATCH_DEV
SCRATCH_DEV=$(disk scratch)
export PATH=$top/build/tools/afsync:$PATH
export LD_LIBRARY_PATH=$top/build/tools/lib/afsync
[ "$debug" != 1 ] || { export AFSYNC_DEBUG_KERNEL=1; echo clear >/sys/kernel/debug/kmemleak; }
load_modules
note "ready"
if [ "$interactive" = 1 ]; then
	run_shell
else
	run_command
fi
note "command ended with status $status"
kill_rest
unload_modules
scan_leaks
check_kernel
report_and_stop
