# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the files that source it
# The amounts that the benchmark measures, by BENCH_SIZE. Sourced by bench.sh and guest.sh.
#
#	full	the whole matrix
#	quick	only the cells for the targets, with fewer operations
#	gate	a few cells, for scripts/bench/gate.sh
#	short	a little of everything, for tests: its figures mean nothing
#
# A matrix is a list of "FILES DEPTH". With fewer requests than files, only one is
# outstanding. OVERWRITE is for the first disk, OTHERS for the others.

BENCH_SIZE=${BENCH_SIZE:-full}
case $BENCH_SIZE in
full)
	BOOTS_DEFAULT=3
	DISKS=("ext4 null_blk-1ms" "xfs null_blk-1ms" "ext4 null_blk-20us" "xfs null_blk-20us")
	OVERWRITE=("1 1" "1 8" "1 64" "1 256" "1 1024" "16 1" "16 64" "16 256" "16 1024"
		"64 64" "64 256" "64 1024" "256 256" "256 1024" "1024 1024")
	OTHERS=("1 1" "1 8" "1 64" "1 256" "1 1024" "16 64" "64 64" "256 256" "1024 1024")
	APPEND=("1 1" "1 64" "64 64" "256 256")
	TMPFS=("${OVERWRITE[@]}")
	PROCESSES=("1 16" "64 1" "64 16")	# processes, files
	BRIEF=64				# processes
	PRODUCERS=(1 4 16 64 256)
	TREE_FILES=10000 TREE_DEPTHS=(16 256)
	QUEUED=(16 64 256 1024 4096 24576)
	VARIANTS=("1 1" "1 64" "64 64" "256 256")
	WORKERS=(16 64 256) WORKERS_DEPTH=256
	PAIRS=5 PAIR_OPS=1024
	# Operations with one outstanding, with more, and the least number of rounds of the window.
	OPS_ALONE=256 OPS=2048 ROUNDS=4
	;;
quick)
	BOOTS_DEFAULT=2
	DISKS=("ext4 null_blk-1ms")
	OVERWRITE=("1 1" "1 64" "64 64" "256 256")
	OTHERS=()
	APPEND=("64 64")
	TMPFS=("1 1" "1 64" "64 64")
	PROCESSES=("64 1" "64 16")
	BRIEF=64
	PRODUCERS=(64)
	TREE_FILES=2000 TREE_DEPTHS=(16)
	QUEUED=(16 64 256 1024 4096 24576)
	VARIANTS=("1 64" "64 64")
	WORKERS=() WORKERS_DEPTH=256
	PAIRS=2 PAIR_OPS=1024
	OPS_ALONE=512 OPS=2048 ROUNDS=8
	;;
gate)
	BOOTS_DEFAULT=1
	DISKS=("ext4 null_blk-1ms")
	OVERWRITE=("1 1" "1 64")
	OTHERS=()
	APPEND=()
	TMPFS=("1 1" "1 64" "64 64")
	QUEUED=()
	OPS_ALONE=256 OPS=2048 ROUNDS=8
	;;
short)
	BOOTS_DEFAULT=1
	DISKS=("ext4 null_blk-1ms" "xfs null_blk-1ms" "ext4 null_blk-20us" "xfs null_blk-20us")
	OVERWRITE=("1 1" "1 4" "4 4")
	OTHERS=("4 4")
	APPEND=("4 4")
	TMPFS=("${OVERWRITE[@]}")
	PROCESSES=("4 2")
	BRIEF=4
	PRODUCERS=(1 4)
	TREE_FILES=100 TREE_DEPTHS=(4)
	QUEUED=()
	VARIANTS=("1 4")
	WORKERS=(1) WORKERS_DEPTH=4
	PAIRS=1 PAIR_OPS=64
	OPS_ALONE=8 OPS=32 ROUNDS=2
	;;
*) die "no such size: $BENCH_SIZE (full, quick, gate or short)" ;;
esac
