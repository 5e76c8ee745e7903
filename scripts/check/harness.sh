#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks the VM's harness itself: a run that fails must be reported as failed.
#
#	scripts/check/harness.sh		the faults that a test relies on
#	FULL=1 scripts/check/harness.sh		all: the second start, shells, --add as well
#	scripts/check/harness.sh NAME...	these; kcsan_race and rt_raw only by name, since they
#						build a kernel each
#	scripts/check/harness.sh --list		name them all
#
# Prints TAP. Each check is a function run_NAME that boots a VM; the exit status has to
# be the documented one, and the messages have to give the reason.

. "$(dirname "$0")/../lib.sh"
. "$TOP/scripts/check/tap.sh"

SHORT=(good status warn silent_exit hang few_cpus panic_boots
	debug_leak debug_deadlock debug_atomic debug_freed)
CHECKS=("${SHORT[@]}" panic oops lockup hung_boot panic_boot shell add add_refused rebuilt rebuilt_told
	debug_good debug_cpus)
MORE_CHECKS=(kcsan_race rt_raw)

# The module that misbehaves, for kernel NAME.
bad_module() {
	local kdir=$1 out
	kdir=$("$TOP/scripts/kernel/fetch.sh" "$1")
	out=$BUILD/bad-$(cat "$kdir/release")
	bad=$out/afsync_bad.ko
	mkdir -p "$out"
	cp -u "$TOP"/selftests/qemu/bad/* "$out/"
	if [ -d "$kdir/build" ]; then
		kdir=$kdir/build
	else
		kdir=/usr/src/linux-headers-$(cat "$kdir/release")
	fi
	nice make -s -C "$kdir" "M=$out" modules >&2
}

vm() {
	rc=0
	"$TOP/scripts/vm.sh" --no-module --name "harness-$check" "$@" >"$out/stdout" 2>"$out/stderr" || rc=$?
}

# shell EXPECT-COMMANDS: an interactive shell, on a terminal. The commands have $prompt,
# and end with the shell's own end.
shell() {
	rc=0
	# shellcheck disable=SC2016 # for expect
	VM="$TOP/scripts/vm.sh" NAME="harness-$check" command expect -c '
		set timeout 900
		set prompt "afsync-vm:\[^#\]*# "
		proc run {command} {
			send "$command\r"
			expect -re $::prompt
		}
		spawn $env(VM) --no-module --name $env(NAME)
		expect timeout { exit 99 } eof { exit 98 } -re $prompt
		'"$1"'
		send "exit 7\r"
		expect timeout { exit 99 } eof
		exit [lindex [wait] 3]' >"$out/stdout" 2>&1 || rc=$?
	cp "$out/stdout" "$out/stderr"
}

# first_boot_panics: the first QEMU gets a kernel without a first process.
first_boot_panics() {
	local real
	real=$(command -v qemu-system-x86_64)
	rm -rf "${out:?}/bin"
	mkdir "$out/bin"
	cat >"$out/bin/qemu-system-x86_64" <<-EOF
		#!/bin/bash
		# Not when KVM is tried.
		if [[ " \$* " = *afsync.run=* ]] && mkdir "$out/bin/once" 2>/dev/null; then
			exec "$real" "\$@" -append "console=ttyS0 panic=-1 rdinit=/none"
		fi
		exec "$real" "\$@"
	EOF
	chmod 755 "$out/bin/qemu-system-x86_64"
	PATH=$out/bin:$PATH
}

# expect STATUS [PATTERN]: the result of vm, and its messages.
expect() {
	[ "$rc" = "$1" ] || { echo "exit status $rc, expected $1"; cat "$out/stderr"; return 1; }
	[ -z "${2:-}" ] || grep -qE "$2" "$out/stderr" ||
		{ echo "did not say '$2':"; cat "$out/stderr"; return 1; }
}

# says TEXT: the whole output of the command.
says() {
	[ "$(cat "$out/stdout")" = "$1" ] || { echo "stdout is not just the command's:"; cat "$out/stdout"; return 1; }
}

load() { vm --kernel "$kernel" "${@:2}" "insmod $bad what=$1; echo still here"; }

run_good() {
	vm 'echo out; echo err >&2'
	expect 0
	says out
	# Except the message of a kernel that had to be started once more.
	[ "$(grep -v '^vm.sh: .*: once more (log' "$out/stderr")" = err ] || { echo "stderr is not just the command's:"; cat "$out/stderr"; return 1; }
}
run_status() { vm 'exit 7'; expect 7; }
run_panic() { vm 'echo c >/proc/sysrq-trigger'; expect 125 'without a word'; }
run_warn() { load warn; expect 125 'afsync_bad: a warning'; }
run_oops() { load oops; expect 125 'Oops|BUG:'; }
run_silent_exit() { vm 'echo b >/proc/sysrq-trigger; sleep inf'; expect 125 'without a word'; }
run_hang() { vm --timeout 45 'echo started; sleep inf'; expect 124 'time was up'; }
# With one CPU, nothing else runs either.
run_lockup() { load lockup --timeout 45 --cpus 1; expect 124 'time was up'; }
# No kernel boots at once, so this one has a second start, and only that one counts.
run_hung_boot() {
	AFSYNC_BOOT_SECONDS=0 vm 'echo out'
	expect 0 'did not boot within 0 s: once more'
	says out
}
run_panic_boot() {
	first_boot_panics
	vm 'echo out'
	expect 0 'ended before its first process began: once more'
	says out
}
run_panic_boots() {
	vm --append rdinit=/none 'echo out'
	expect 125 'ended before its first process began: once more'
	expect 125 'without a word'
	expect 125 'Kernel panic'
}
run_few_cpus() {
	vm --append maxcpus=1 'echo out'
	expect 125 '1 of 2 CPUs'
	says ''
}
# Ctrl-C is for the program that runs in the shell, and the status is the shell's; a boot
# that panics does not end it.
run_shell() {
	first_boot_panics
	# shellcheck disable=SC2016 # for the guest
	shell 'run "echo it is \$((6 * 7))"
		send "echo be\"\"gun; sleep inf\r"
		expect begun
		send "\003"
		expect -re $prompt'
	expect 7 'it is 42'
	expect 7 'ended before its first process began: once more'
}
# The guest has its own of these directories; those named are visible there, and are not changed.
run_add() {
	local dir dirs=() add=()
	for dir in /tmp /run /dev/shm; do
		[ -w $dir ] || continue
		dir=$(mktemp -d "$dir/harness.XXXXXX")
		dirs+=("$dir")
		mkdir "$dir/a: b,"
		echo folder >"$dir/a: b,/file"
		echo file >"$dir/file"
		ln -s "$dir/a: b," "$dir/link"
		add+=(--add "$dir/a: b," --add "$dir/file" --add "$dir/link")
	done
	# shellcheck disable=SC2016 # for the guest
	vm "${add[@]}" --env "DIRS=${dirs[*]}" 'for dir in $DIRS; do
		cat "$dir/a: b,/file" "$dir/link/file" "$dir/file"
		for new in file "a: b,/file" "a: b,/new"; do
			echo changed >"$dir/$new" || exit 9
			grep -qx changed "$dir/$new" || exit 8
		done
	done'
	for dir in "${dirs[@]}"; do
		[ "$(ls "$dir/a: b,")" = file ] && grep -qx folder "$dir/a: b,/file" && grep -qx file "$dir/file" ||
			echo "changed on the host: $dir"
	done >"$out/harm"
	rm -rf "${dirs[@]}"
	expect 0
	says "$(for dir in "${dirs[@]}"; do printf 'folder\nfolder\nfile\n'; done)"
	cat "$out/harm"
	[ ! -s "$out/harm" ]
}
run_add_refused() {
	local path
	for path in / /tmp /run /proc /proc/self/status /sys/kernel /dev/null /lib/modules; do
		vm --add "$path" true
		expect 1 "^vm.sh: --add $path: is not in the VM"
		[ "$(wc -l <"$out/stderr")" = 1 ] || { cat "$out/stderr"; return 1; }
	done
	vm --add /tmp/harness.none true
	expect 1 'no such file'
}
# program TEXT FILE: a program that says it.
program() { echo "int puts(const char *); int main(void) { puts(\"$1\"); }" | gcc -x c -o "$2" -; }
# In a shell a program is the one that the host has built last.
run_rebuilt() {
	local dir=$BUILD/harness
	mkdir -p "$dir"
	program "it is old" "$dir/program"
	program "it is new" "$dir/program.new"
	shell "run $dir/program
		exec mv $dir/program.new $dir/program
		run $dir/program"
	rm -rf "$dir"
	expect 7 'it is old'
	expect 7 'it is new'
}
# A command may run a mix of old and new; when it fails, a message says so.
run_rebuilt_told() {
	local dir=$BUILD/harness
	mkdir -p "$dir"
	: >"$out/stdout"
	{
		until grep -q begun "$out/stdout"; do sleep 0.2; done
		program new "$dir/program"
	} &
	vm "echo begun; until ls $dir | grep -q program; do sleep 0.1; done; exit 3"
	kill $! 2>/dev/null || true
	wait $! || true
	rm -rf "$dir"
	expect 3 "^vm.sh: $dir/program was built while the VM ran"
}
run_debug_good() { vm --debug true; expect 0; }
run_debug_cpus() { vm --debug 'getconf _NPROCESSORS_ONLN'; expect 0; says 2; }
run_debug_leak() { load leak; expect 125 'unreferenced object|kmemleak has found a leak'; }
run_debug_deadlock() { load deadlock; expect 125 'possible circular locking|lockdep'; }
run_debug_atomic() { load atomic; expect 125 'sleeping function|scheduling while atomic'; }
run_debug_freed() { load freed; expect 125 'KASAN'; }
run_kcsan_race() { load race; expect 125 'KCSAN: data-race in .*count'; }
run_rt_raw() { load raw; expect 125 'Invalid wait context'; }

if [ "${1:-}" = --list ]; then
	printf '%s\n' "${CHECKS[@]}" "${MORE_CHECKS[@]}"
	exit
fi
[ $# -gt 0 ] || [ "${FULL:-}" != 1 ] || set -- "${CHECKS[@]}"
[ $# -gt 0 ] || set -- "${SHORT[@]}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo "TAP version 13"
for check; do
	[[ " ${CHECKS[*]} ${MORE_CHECKS[*]} " = *" $check "* ]] || die "no such check: $check (see --list)"
	case $check in
	debug_*) kernel=debug ;;
	rt_*) kernel=debug-rt ;;
	kcsan_*) kernel=kcsan ;;
	*) kernel=debian ;;
	esac
	bad_module $kernel
	# Not in a condition: that would switch errexit off inside.
	set +e
	(set -e; "run_$check") >"$out/said" 2>&1
	ok=$?
	set -e
	[ $ok = 0 ] || remark <"$out/said"
	result $ok "harness: $check"
done
end_results
