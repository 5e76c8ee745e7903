/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * afsync_sim - the commands of the test filesystems, shared with the tests
 *
 * Every command is an ioctl on an open file or directory and acts on its inode
 * (SIM_GATE_SYNCFS: on its whole filesystem). A gate is a place where a call stops: calls
 * pass it freely until SIM_IOC_HOLD. A hold or I/O that was begun through a descriptor
 * ends at the latest when the process that began it closes that descriptor or dies, so a
 * test that fails leaves nothing stuck.
 */
#ifndef _AFSYNC_SIM_H
#define _AFSYNC_SIM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* fsync and fdatasync of the inode */
#define SIM_GATE_FSYNC		0
/* the last close of an open file of the inode */
#define SIM_GATE_RELEASE	1
/* syncfs of the filesystem; only the waiting call is held and counted */
#define SIM_GATE_SYNCFS		2
/* reads of the file, before they read anything; not those of directories or mappings */
#define SIM_GATE_READ		3
/* writes to the file, before they take the inode's lock or change anything */
#define SIM_GATE_WRITE		4
#define SIM_NR_GATES		5

/* The number of calls remembered for each inode. */
#define SIM_NR_CALLS		64

/**
 * struct sim_gate_arg - argument of the commands on a gate
 * @gate: SIM_GATE_*
 * @count: SIM_IOC_HOLD: not 0 if even a thread that is killed stays, as in the fsync of
 *	most filesystems; SIM_IOC_STEP: calls to let go; SIM_IOC_FAIL: calls that fail;
 *	SIM_IOC_WAIT_STARTED: return when so many calls have reached the gate in all
 * @error: SIM_IOC_FAIL: positive errno
 * @user: SIM_IOC_HOLD_USER: the user whose calls stop, as in @fsuid of struct sim_call
 */
struct sim_gate_arg {
	__u32 gate;
	__u32 count;
	__s32 error;
	__u32 user;
};

/**
 * struct sim_call - the state that one call of fsync saw
 * @begun_ns: CLOCK_MONOTONIC when it was called
 * @ended_ns: CLOCK_MONOTONIC when it returned, 0 while it runs
 * @start: first byte of the range
 * @end: last byte of the range
 * @writes: writes to the inode that had finished when it was called, those that
 *	SIM_IOC_FAIL made fail not counted
 * @datasync: 1 for fdatasync
 * @fsuid: user of the credentials it ran with
 * @fsgid: group of the credentials it ran with
 * @ioprio: I/O priority that its thread had
 * @open_id: the open file of the call, see SIM_IOC_OPEN_ID
 * @pid: the thread
 * @result: 0 or negative errno
 * @noio: 1 if its thread allocates memory without I/O (PF_MEMALLOC_NOIO)
 * @local_throttle: 1 if its thread is throttled only by the device that it writes to
 *	(PF_LOCAL_THROTTLE)
 * @reserved: zero
 */
struct sim_call {
	__aligned_u64 begun_ns;
	__aligned_u64 ended_ns;
	__aligned_u64 start;
	__aligned_u64 end;
	__aligned_u64 writes;
	__u32 datasync;
	__u32 fsuid;
	__u32 fsgid;
	__u32 ioprio;
	__u32 open_id;
	__u32 pid;
	__s32 result;
	__u32 noio;
	__u32 local_throttle;
	__u32 reserved;
};

/**
 * struct sim_stats - SIM_IOC_STATS
 * @started: calls that reached each gate
 * @finished: calls that have passed it
 * @dio: direct I/O in flight, as the kernel counts it
 * @reserved: zero
 * @calls: the last calls of fsync; call n (from 0) is in element n % SIM_NR_CALLS
 */
struct sim_stats {
	__u32 started[SIM_NR_GATES];
	__u32 finished[SIM_NR_GATES];
	__u32 dio;
	__u32 reserved;
	struct sim_call calls[SIM_NR_CALLS];
};

#define SIM_IOC_MAGIC		0xAE

/* Stop the next calls. */
#define SIM_IOC_HOLD		_IOW(SIM_IOC_MAGIC, 0, struct sim_gate_arg)
/* Let all pass, and stop no more. */
#define SIM_IOC_RELEASE		_IOW(SIM_IOC_MAGIC, 1, struct sim_gate_arg)
/* Let exactly count calls pass. */
#define SIM_IOC_STEP		_IOW(SIM_IOC_MAGIC, 2, struct sim_gate_arg)
/* Make the next count calls that pass the gate return -error. */
#define SIM_IOC_FAIL		_IOW(SIM_IOC_MAGIC, 3, struct sim_gate_arg)
/* Wait until count calls have reached the gate since the inode was made. */
#define SIM_IOC_WAIT_STARTED	_IOW(SIM_IOC_MAGIC, 4, struct sim_gate_arg)
/* Record a writeback error (positive errno) on the file's pages. */
#define SIM_IOC_WB_ERR		_IO(SIM_IOC_MAGIC, 5)
/* Begin (1) or end (0) a direct I/O that only counts as in flight. */
#define SIM_IOC_DIO		_IO(SIM_IOC_MAGIC, 6)
/* Return the number of this open file, as calls record it; 0 for directories. */
#define SIM_IOC_OPEN_ID		_IO(SIM_IOC_MAGIC, 7)
#define SIM_IOC_STATS		_IOR(SIM_IOC_MAGIC, 8, struct sim_stats)
/* Like SIM_IOC_HOLD, but stops only the calls that run as one user. */
#define SIM_IOC_HOLD_USER	_IOW(SIM_IOC_MAGIC, 9, struct sim_gate_arg)

#endif /* _AFSYNC_SIM_H */
