# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Boot a root of suite-root.sh in QEMU. Sourced by check-install.sh.

: "${work=}"
# Seconds for a boot and for all work of the guest. A loaded machine without KVM is slow;
# these limits only end runs that hang.
BOOT_SECONDS=${AFSYNC_BOOT_SECONDS:-1200}
GUEST_SECONDS=${AFSYNC_GUEST_SECONDS:-3600}

# make_image ROOT IMAGE FOLDER...: the root with the guest's part in it, as a disk. The guest
# finds the directories in its own directory.
make_image() {
	local root=$1 image=$2 dir=$1/afsync-check
	local units=$1/etc/systemd/system
	mkdir -p "$dir" "$units/multi-user.target.wants" "$root/etc/systemd/system.conf.d"
	install -m 755 "$TOP/scripts/package/suite-guest.sh" "$dir/guest"
	install -m 755 "$work/program" "$dir/program"
	cp "$TOP/Documentation/afsync/admin.rst" "$dir/"
	[ $# = 2 ] || cp -r "${@:3}" "$dir/"
	# Emulated and loaded, a machine may need more than 90 s.
	printf '[Manager]\nDefaultTimeoutStartSec=%s\n' "$BOOT_SECONDS" >"$root/etc/systemd/system.conf.d/check.conf"
	cat >"$units/afsync-check.service" <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		ExecStart=/afsync-check/guest
		TimeoutStartSec=infinity
	END
	ln -s ../afsync-check.service "$units/multi-user.target.wants/"
	# Room for an upgrade, and for podman.
	truncate -s "$(($(du -sm "$root" | cut -f 1) * 5 / 4 + 600))M" "$image"
	mke2fs -q -t ext4 -d "$root" "$image"
	rm -rf "$dir" "$units/afsync-check.service" "$units/multi-user.target.wants/afsync-check.service" \
		"$root/etc/systemd/system.conf.d"
}

# boot_image ROOT IMAGE CONSOLE RESULT: false, with the reason in $trouble, unless the
# guest finished and the kernel had no complaint.
boot_image() {
	local root=$1 image=$2 console=$3 result=$4 qemu accel=tcg cpu=max,la57=off slept=0 alive=1 last
	local limit=$BOOT_SECONDS what="the end of the boot"
	[ ! -w /dev/kvm ] || [ "${AFSYNC_ACCEL:-}" = tcg ] || { accel=kvm; cpu=host; }
	: >"$result"
	# Watchdogs in the guest must not report the stalls of a loaded host.
	qemu-system-x86_64 -machine pc -accel $accel -cpu $cpu -smp 2 -m 1024 \
		-nodefaults -no-user-config -display none -nic none -no-reboot \
		-kernel "$root"/boot/vmlinuz-* -initrd "$root"/boot/initrd.img-* \
		-serial "file:$console" -serial "file:$result" -device virtio-rng-pci \
		-drive "if=none,id=root,file=$image,format=raw,cache=unsafe" -device virtio-blk-pci,drive=root \
		-append "root=/dev/vda rw console=ttyS0 TERM=dumb panic=-1 oops=panic mitigations=off no_timer_check \
watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 workqueue.watchdog_thresh=120" \
		</dev/null >"$console.qemu" 2>&1 &
	qemu=$!
	while [ $alive = 1 ] && [ $slept -lt "$limit" ]; do
		kill -0 $qemu 2>/dev/null || alive=0
		! grep -qs ^begin "$result" || { limit=$GUEST_SECONDS what="the end of the checks"; }
		! grep -qs ^end "$result" || what="the machine to power off"
		sleep 1
		slept=$((slept + 1))
	done
	[ $alive = 0 ] || kill -KILL $qemu
	wait $qemu 2>/dev/null || true
	cat "$console.qemu" >&2
	last=$(tr '\r' '\n' <"$console" | sed 's/\x1b[^A-Za-z]*[A-Za-z]//g' | grep -av '^ *$' | tail -n 1) || true
	# On a starved machine the kernel warns of its own delays: only warnings with the module
	# in their stack count, and every worse complaint.
	trouble=$(grep -aE -m 1 'BUG:|Oops|Kernel panic|\[afsync\]$' <(tr -d '\r' <"$console")) || true
	if [ -n "$trouble" ]; then
		trouble="the kernel complained: $trouble"
	elif [ $alive = 1 ]; then
		trouble="waited $limit s for $what; the last line of the console: $last"
	elif ! grep -qs ^end "$result" || ! grep -qa 'reboot: Power down' "$console"; then
		trouble="the machine ended before $what; the last line of the console: $last"
	fi
	[ -z "$trouble" ]
}
