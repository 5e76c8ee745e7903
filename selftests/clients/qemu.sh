#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU's native AIO (aio=native, cache=none) of Debian 13, under 'afsync exec --stats', on ext4 and
# xfs. qemu-img bench writes with a flush after each 16 requests. qemu-io writes blocks of random
# patterns, many at once, and flushes; another qemu-io, without native AIO and without the
# drop-in, finds each of them.
#
#	selftests/clients/qemu.sh	needs: see ../programs/programs.sh; the tools that
#					scripts/check/fetch-qemu.sh has put beside KSRC
#	ROUNDS=N SEED=N			so many rounds of qemu-io (3); which patterns
#
# What goes through the drop-in: QEMU submits its reads, writes and flushes (IO_CMD_FDSYNC) with
# io_submit(3). It takes the events out of the ring of kernel AIO in its own memory, past libaio
# and the drop-in, and is woken by an eventfd. So the end of a sync has to be a real event there.
#
# The last cases overwrite a block by hand: the test has to detect it.

. "$(dirname "$0")/../programs/programs.sh"

rounds=${ROUNDS:-3}
root=${KSRC%/*}/qemu-trixie
# With Debian 13's C library. The drop-in is at the same path in there.
in_root=(chroot "$root")
BLOCKS=256
RANDOM=${SEED:-1}

bench() {
	truncate -s 16M "$dir/disk"
	dropins "${in_root[@]}" /usr/bin/qemu-img bench -w -n -t none -f raw -c 2048 -d 16 -s 4096 \
		--flush-interval=16 "$dir/disk" || return 1
	# About one for each 16.
	went_through 100
}

# new_patterns: a byte for each block.
new_patterns() {
	local i
	patterns=()
	for ((i = 0; i < BLOCKS; i++)); do
		patterns+=($((1 + RANDOM % 255)))
	done
}

# write_all: all of them, 32 at a time and a flush behind these.
write_all() {
	local i commands=()
	for ((i = 0; i < BLOCKS; i++)); do
		commands+=(-c "aio_write -q -P ${patterns[i]} $((i * 65536)) 4k")
		[ $((i % 32)) != 31 ] || commands+=(-c aio_flush -c flush)
	done
	dropins "${in_root[@]}" /usr/bin/qemu-io -i native -t none -f raw "${commands[@]}" "$dir/disk"
}

# read_all: finds each of them.
read_all() {
	local i commands=()
	for ((i = 0; i < BLOCKS; i++)); do
		commands+=(-c "read -q -P ${patterns[i]} $((i * 65536)) 4k")
	done
	"${in_root[@]}" /usr/bin/qemu-io -r -t none -f raw "${commands[@]}" "$dir/disk" >"$work/read" 2>&1 || cat "$work/read" >>"$log"
	! grep -q . "$work/read"
}

round() {
	new_patterns
	write_all || return 1
	went_through $((BLOCKS / 32)) || return 1
	echo "# figure: $BLOCKS blocks of QEMU found"
	read_all || why "a block is not as it was written"
}

damaged() {
	printf 'x' | dd of="$dir/disk" bs=1 seek=$((RANDOM % BLOCKS * 65536)) conv=notrunc status=none
	! read_all || why "no complaint about a block that was overwritten"
}

[ -x "$root/usr/bin/qemu-io" ] || skip_all "no QEMU of Debian 13: run scripts/check/fetch-qemu.sh"
needs chroot
mkdir -p "$root$TOP/build/tools"
mount --bind "$TOP/build/tools" "$root$TOP/build/tools"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /mnt "$root/mnt"
read -ra filesystems <<<"$FILESYSTEMS"
plan $((${#filesystems[@]} * (rounds + 2)))
echo "# SEED=${SEED:-1}"
for fs in "${filesystems[@]}"; do
	scratch "$fs"
	case_is "qemu-img bench on $fs: its flushes go through the device" bench
	for ((i = 1; i <= rounds; i++)); do
		case_is "round $i on $fs: what QEMU has written and flushed is there" round
	done
	case_is "a block that is overwritten by hand on $fs is found out" damaged
	rm -rf "$dir"
done
exit $failed
