#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs a command, or a shell, in a VM that has the afsync module loaded.
#
#	scripts/vm.sh [OPTION]... [--] [CMD...]
#
#	--kernel K	a kernel of scripts/kernel/fetch.sh (Debian's kernel)
#	--debug		the debug kernel
#	--mem MIB	memory (1024; 2560 on the debug kernel)
#	--cpus N	virtual CPUs (2)
#	--icount	one CPU whose clock counts its instructions, 2 ns each, and jumps over
#			idle time: the same speed on every host. Code that waits for the
#			host (virtio, 9p) must not run while time is measured.
#	--icount-fast	the same, 1 ns each
#	--timeout S	end the VM after S seconds (1800; none for a shell)
#	--name NAME	the log goes to build/vm/NAME.log (last)
#	--env NAME=VAL	set a variable in the guest; can be repeated
#	--append ARGS	kernel parameters
#	--add PATH	show PATH in the VM; only needed below /tmp, /run and /dev/shm. Can be
#			repeated
#	--no-sim	do not load the test module
#	--no-module	load no module at all
#
# The guest's root is the host's root, read-only over 9p (virtiofs for a kernel that has no 9p)
# with a tmpfs on top: all programs and files are there, at the same paths; the guest's writes
# are lost at the end. The guest has its own /tmp, /run and /dev/shm; of the host's it sees the
# project, the working directory and the paths of --add. /mnt/ext4 and /mnt/xfs are scratch
# filesystems on virtio disks with a write-back cache, $SCRATCH_DEV is an empty disk. There is
# no network.
# The guest caches files that it has read. A shell drops this cache before each command,
# so that it runs programs that the host has built meanwhile; a command that fails after
# a program was rebuilt says so.
# CMD's output is printed here; kernel messages go only to the log. The exit status is
# CMD's, 124 after the time limit, and 125 when the kernel complained (panic, warning,
# lockdep, KASAN, leak ...), did not run on all CPUs, or the VM ended without a message.
# AFSYNC_ACCEL=tcg or kvm skips the probe for KVM. A kernel that ends before its first
# process has begun, or has none after AFSYNC_BOOT_SECONDS (300), is started once more,
# then with no such limit.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm/root.sh"

# Pairs: the path in the guest, and the path on the host.
shown=()
# show PATH: shows it below the guest's own /tmp, /run or /dev/shm. False if that is impossible.
show() {
	local real path
	real=$(realpath -- "$1")
	# A symbolic link appears as its target.
	for path in "$real" "$(realpath -s -- "$1")"; do
		case $path in
		/|/tmp|/run|/dev/shm|/run/afsync|/run/afsync/*|/mnt/ext4|/mnt/ext4/*|/mnt/xfs|/mnt/xfs/*|\
		/lib/modules|/lib/modules/*|/usr/lib/modules|/usr/lib/modules/*)
			return 1 ;;
		/tmp/*|/run/*|/dev/shm/*)
			shown+=("$path" "$real") ;;
		/proc|/proc/*|/sys|/sys/*|/dev|/dev/*)
			return 1 ;;
		esac
	done
}

kernel='' debug=0 mem='' cpus=2 icount=0 shift_ns=1 timeout='' name=last append='' sim=1 modules=1
env=() added=()
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--debug) debug=1 ;;
	--mem) mem=$2; shift ;;
	--cpus) cpus=$2; shift ;;
	--icount) icount=1; cpus=1 ;;
	--icount-fast) icount=1; cpus=1; shift_ns=0 ;;
	--timeout) timeout=$2; shift ;;
	--name) name=$2; shift ;;
	--env) env+=("$2"); shift ;;
	--append) append=$2; shift ;;
	--add)
		[ -e "$2" ] || die "--add $2: there is no such file or directory on this machine"
		show "$2" || die "--add $2: is not in the VM, which has its own files in that place"
		added+=("$2")
		say "$2 is in the VM at the same path, like everything on this machine"
		shift ;;
	--no-sim) sim=0 ;;
	--no-module) modules=0 ;;
	--help) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
	--) shift; break ;;
	-*) die "unknown option $1 (--help lists them)" ;;
	*) break ;;
	esac
	shift
done
interactive=0
[ $# -gt 0 ] || interactive=1
[ $interactive = 0 ] || [ -t 0 ] || die "a shell needs a terminal; give a command to run: make vm CMD='...'"
for tool in qemu-system-x86_64 busybox cpio mkfs.ext4 mkfs.xfs; do
	have "$tool" || [ -x "/sbin/$tool" ] || die "$tool is missing: run 'make setup'"
done
PATH=$PATH:/usr/sbin:/sbin

[ $debug = 0 ] || [ -n "$kernel" ] || kernel=debug
kdir=$("$TOP/scripts/kernel/fetch.sh" ${kernel:+"$kernel"})
kdir=$(realpath "$kdir")
release=$(cat "$kdir/release")
[[ $release != *-debug ]] || debug=1
[ -n "$mem" ] || mem=$([ $debug = 1 ] && echo 2560 || echo 1024)

# The modules to load.
ko='' sim_ko=''
if [ $modules = 1 ]; then
	built=$BUILD/modules-$release
	ko=$built/drivers/afsync/afsync.ko
	[ -e "$ko" ] || die "$ko is missing: run 'scripts/kernel/build-modules.sh ${kernel:-$release}' (or use --no-module)"
	if [ $sim = 1 ]; then
		sim_ko=$built/selftests/sim/afsync_sim.ko
		[ -e "$sim_ko" ] || die "$sim_ko is missing: run 'scripts/kernel/build-modules.sh ${kernel:-$release} AFSYNC_SIM=1' (or use --no-sim)"
	fi
fi

# KVM may be there and still not boot this kernel: ask once per kernel and host.
accel() {
	local answer
	if [ -n "${AFSYNC_ACCEL:-}" ]; then
		echo "$AFSYNC_ACCEL"
		return
	elif [ ! -w /dev/kvm ]; then
		echo tcg
		return
	fi
	answer=$kdir/accel-$({ uname -srv; grep -m 1 'model name' /proc/cpuinfo; } | sha256sum | cut -c 1-12)
	if [ ! -s "$answer" ]; then
		say "trying whether KVM boots this kernel (once, up to 10 s)"
		timeout 10 qemu-system-x86_64 -machine pc -accel kvm -cpu host -m 512 "${common[@]}" \
			-serial null -serial "file:$run/probe" \
			-append "console=ttyS0 panic=-1 no_timer_check afsync.probe=1" \
			>/dev/null 2>&1 </dev/null || true
		if grep -qs booted "$run/probe"; then echo kvm; else echo tcg; fi >"$run/accel"
		mv "$run/accel" "$answer"
		say "using $(cat "$answer")"
	fi
	cat "$answer"
}

# The clock of an emulated machine: see tsc_khz.c.
clock() {
	local file khz
	# With --icount a cycle of the counter is a nanosecond.
	[ $icount = 0 ] || { echo "tsc=reliable tsc_early_khz=1000000"; return; }
	[ "$accel" = tcg ] || return 0
	file=$BUILD/vm/tsc_khz-$(cut -c 1-8 /proc/sys/kernel/random/boot_id)
	if [ ! -s "$file" ]; then
		khz=$(mktemp "$BUILD/vm/new.XXXXXX")
		gcc -O2 -o "$khz" "$TOP/selftests/qemu/tsc_khz.c"
		"$khz" >"$khz.out"
		mv "$khz.out" "$file"
		rm -f "$khz"
	fi
	echo "tsc=reliable tsc_early_khz=$(cat "$file")"
}

mkdir -p "$BUILD/vm"
run=$(mktemp -d "$BUILD/vm/run.XXXXXX")
log=$run/console.log
qemu_pid=
# SIGKILL cannot be lost while QEMU is only starting.
kill_qemu() { [ -z "$qemu_pid" ] || kill -KILL "$qemu_pid" 2>/dev/null || true; }
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	kill_qemu
	[ "$interactive" = 0 ] || stty sane
	rm -f "$run"/*.img
	[ ! -e "$log" ] || mv -f "$log" "$BUILD/vm/$name.log"
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

choose_root
make_initramfs
root_device
token=$(basename "$run")-$$
common=(-nodefaults -no-user-config -display none -nic none -no-reboot -kernel "$kdir/bzImage" -initrd "$initrd")

disks=()
for disk in ext4 xfs scratch; do
	truncate -s 3G "$run/$disk.img"
	disks+=(-drive "if=none,id=$disk,file=$run/$disk.img,format=raw,cache=writeback,discard=unmap"
		-device "virtio-blk-pci,drive=$disk,serial=$disk")
done
mkfs.ext4 -q -F "$run/ext4.img"
mkfs.xfs -q -f "$run/xfs.img"

for path in "$TOP" "$CACHE" "$KSRC" "$PWD"; do
	[ ! -d "$path" ] || show "$path" || true
done
for path in ${shown[@]+"${shown[@]}"}; do
	printf '%s\n' "$path"
done >"$run/shown"

# The input of guest.sh. printf %q, so that any value survives.
env=("AFSYNC_KO=$ko" "AFSYNC_SIM_KO=$sim_ko" ${env[@]+"${env[@]}"})
{
	for v in token debug interactive cpus; do printf '%s=%q\n' $v "${!v}"; done
	printf 'top=%q\ncwd=%q\nmodules=%q\nterm=%q\n' "$TOP" "$PWD" "$ko $sim_ko" "${TERM:-dumb}"
	[ $interactive = 0 ] || stty size | { read -r r c; printf 'rows=%q\ncolumns=%q\n' "$r" "$c"; }
	printf 'env=('; printf '%q ' "${env[@]}"; printf ')\n'
} >"$run/config"
if [ $# = 1 ]; then
	printf '%s\n' "$1" >"$run/cmd"
else
	printf '%q ' "$@" >"$run/cmd"
fi

machine=()
if [ $icount = 1 ]; then
	accel=tcg
	# shellcheck disable=SC2054 # the comma is QEMU's
	machine=(-accel tcg,thread=single -icount "shift=$shift_ns,sleep=off")
else
	accel=$(accel)
	machine=(-accel "$accel")
fi
# Watchdogs in the guest must not report the stalls of a loaded host, nor may the kernel
# give up at its start because a few ticks of the timer came late.
patience='no_timer_check watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 workqueue.watchdog_thresh=120'
patience+=' sysctl.kernel.hung_task_timeout_secs=600'
# A socket for each CPU: a kernel without ACPI knows only the MP table, which lists one
# CPU of a socket.
# shellcheck disable=SC2054 # the commas are QEMU's
qemu=(qemu-system-x86_64 -machine pc "${machine[@]}" -smp "$cpus,sockets=$cpus" -m "$mem" "${common[@]}"
	-cpu "$([ "$accel" = kvm ] && echo host || echo max,la57=off)"
	-serial "file:$log" -serial "file:$run/result"
	"${root_device[@]}" -device virtio-rng-pci -device virtio-serial-pci "${disks[@]}"
	-append "console=ttyS0 panic=-1 oops=panic panic_on_warn=1 mitigations=off no_hash_pointers $patience $(clock) \
$([[ $release != *-afsync-* ]] || echo acpi=off) afsync.top=$TOP afsync.run=$run afsync.kernel=$kdir \
afsync.root=$root_over $append")

# boot: start QEMU. It ends with this script, however that ends.
boot() {
	: >"$run/result"
	readers=()
	serve_root
	if [ $interactive = 1 ]; then
		# From this terminal: without this redirection the input would be /dev/null.
		setpriv --pdeathsig KILL "${qemu[@]}" -chardev stdio,id=con,signal=off \
			-device virtconsole,chardev=con <&0 2>"$run/qemu.out" &
		qemu_pid=$!
		return
	fi
	# Through cat: QEMU must not change the terminal, and wants a plain descriptor.
	exec 3> >(exec cat) ; readers+=($!)
	exec 4> >(exec cat >&2) ; readers+=($!)
	setpriv --pdeathsig KILL "${qemu[@]}" -add-fd fd=3,set=1 -add-fd fd=4,set=2 \
		-chardev file,id=out,path=/dev/fdset/1,append=on -device virtserialport,chardev=out,name=afsync.out \
		-chardev file,id=err,path=/dev/fdset/2,append=on -device virtserialport,chardev=err,name=afsync.err \
		</dev/null >"$run/qemu.out" 2>&1 &
	qemu_pid=$!
	exec 3>&- 4>&-
}

boot_seconds=${AFSYNC_BOOT_SECONDS:-300}
# await_boot: until the guest's first process is there. False if the time is up or QEMU has
# ended before, and $trouble says which. Counted, since the host's clock can be set.
await_boot() {
	local slept=0 alive=1
	while [ $alive = 1 ]; do
		kill -0 "$qemu_pid" 2>/dev/null || alive=0
		# After that, for the last words of one that has ended.
		! grep -qs booted "$run/result" || return 0
		[ $slept -lt "$boot_seconds" ] || break
		sleep 1
		slept=$((slept + 1))
	done
	trouble="ended before its first process began"
	[ $alive = 0 ] || trouble="did not boot within $boot_seconds s"
	return 1
}

# await_end SECONDS: until QEMU ends, or kill it then. 0 is for ever.
await_end() {
	local late=0
	# By wait, so that a signal ends this script at once.
	timeout "$1" tail --pid="$qemu_pid" -s 0.1 -f /dev/null &
	wait $! 2>/dev/null || late=$?
	[ $late = 0 ] || kill_qemu
	ended=0
	# Bash would report its end on stderr.
	wait "$qemu_pid" 2>/dev/null || ended=$?
	[ $late = 0 ] || ended=$late
	qemu_pid=
	[ ${#readers[@]} = 0 ] || wait "${readers[@]}" || true
}

[ -n "$timeout" ] || timeout=$([ $interactive = 1 ] && echo 0 || echo 1800)
[ $interactive = 0 ] ||
	say "kernel $release ($accel), $mem MiB; leave with 'exit' or Ctrl-D; kernel messages: dmesg"
boot
# Seen of the debug kernel under emulation, in the kernel's own self-tests, and on hosts
# with too much to do.
if ! await_boot; then
	say "$release $trouble: once more (log: $BUILD/vm/$name-first.log)"
	kill_qemu
	await_end 1
	[ ! -e "$log" ] || mv -f "$log" "$BUILD/vm/$name-first.log"
	[ $interactive = 0 ] || stty sane
	boot
fi
await_end "$timeout"
cat "$run/qemu.out" >&2

# No cache mode of 9p keeps a program whole that is rebuilt while the VM runs: the
# overlay in the guest keeps the old file, and mixes pages of the new one into it.
tell_rebuilt() {
	local path
	path=$(find "$BUILD" ${added[@]+"${added[@]}"} -path "$BUILD/vm" -prune -o \
		-type f -perm -u+x -newer "$run/config" -print -quit 2>/dev/null) || true
	[ -z "$path" ] ||
		say "$path was built while the VM ran, which may have run a mix of old and new: try again"
}

# Anything but PID 1's word is a failure. Show the log from the first complaint on,
# else its last lines.
failed() {
	local first
	tell_rebuilt
	first=$(grep -anE -m 1 'afsync-vm: FAILED|BUG:|WARNING:|Oops|INFO:|Kernel panic' "$log" | cut -d : -f 1) || true
	say "FAILED: $1; from $BUILD/vm/$name.log:"
	if [ -n "$first" ]; then
		# Its text can be printed before it.
		sed -n "$((first > 3 ? first - 3 : 1)),$((first + 45))p" "$log"
	else
		tail -n 30 "$log"
	fi | tr -d '\r' | sed 's/^/    /' >&2
	exit "$2"
}
word="" said="" status="" verdict=""
read -r word said status verdict < <(tail -n 1 "$run/result" 2>/dev/null) || true
verdict=${verdict%$'\r'}
if [ "$word $said" != "afsync-vm $token" ]; then
	case $ended in
	124) failed "time was up after $timeout s" 124 ;;
	esac
	failed "the VM ended without a word (status of QEMU: $ended)" 125
elif [ "$verdict" != clean ]; then
	failed "the kernel complained (the command's own status was $status)" 125
fi
[ $interactive = 1 ] || [ "$status" = 0 ] || tell_rebuilt
exit "$status"
