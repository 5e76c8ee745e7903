/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * afsync - asynchronous fsync for every program: the contract
 *
 * A program opens /dev/afsync, sets up a ring of completions (AFSYNC_IOC_SETUP)
 * and maps it. It queues syncs with AFSYNC_IOC_SUBMIT. The kernel runs them, with one
 * ordered queue per file and user; all requests of one user that wait for a file when
 * its sync starts are satisfied by that single sync. A completion appears in the ring,
 * the eventfd (if one is registered) is signalled and pollers are woken.
 *
 *	AFSYNC_IOC_INFO		version, operations, flags and limits
 *	AFSYNC_IOC_SETUP	make the ring; once per open of the device
 *	AFSYNC_IOC_SUBMIT	queue an array of requests, and optionally wait
 *	AFSYNC_IOC_WAIT		wait for completions
 *	AFSYNC_IOC_CANCEL	cancel queued requests
 *	AFSYNC_IOC_EVENTFD	register or unregister the eventfd
 *	AFSYNC_IOC_START	queue held requests
 *
 * A program that uses Linux kernel AIO can have the end of a held request delivered
 * there instead of in the ring: struct afsync_attach.
 *
 * Every struct is the same for 32-bit and 64-bit programs and may grow at its
 * end. A kernel accepts a struct longer than its own if the additional part is zero
 * (else E2BIG); if the struct is only [out], it reads nothing and zeroes that part. It
 * takes the missing part of a shorter struct as zero (EINVAL if the struct is shorter
 * than its first version). Unknown flags and non-zero reserved fields are refused with
 * EINVAL, an unknown command with ENOTTY. Fields are marked [in], [out] or [in/out].
 *
 * Reading the ring takes no system call. One reader at a time does
 *
 *	head = ring->head;				// only the reader writes it
 *	tail = load_acquire(&ring->tail);		// pairs with the kernel's release
 *	while (head != tail)
 *		consume(&cqes[head++ & ring->mask]);
 *	store_release(&ring->head, head);		// gives the entries back
 *
 * where cqes = (void *)ring + ring->cqes_offset. The indices run freely and wrap
 * at 2^32.
 *
 * The manual page afsync(4) has the rules of each command and its complete list of
 * errors, Documentation/userspace-api/afsync.rst the promises.
 */
#ifndef _UAPI_LINUX_AFSYNC_H
#define _UAPI_LINUX_AFSYNC_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Version of this interface, as AFSYNC_IOC_INFO returns it. */
#define AFSYNC_VERSION		5

/* The most entries that a ring can ever have. */
#define AFSYNC_MAX_ENTRIES	32768

/**
 * enum afsync_op - what to do with the file of a request
 * @AFSYNC_OP_FSYNC: as fsync(2), of the range given
 * @AFSYNC_OP_FDATASYNC: as fdatasync(2), of the range given
 * @AFSYNC_OP_SYNCFS: as syncfs(2), of the filesystem that holds the file
 */
enum afsync_op {
	AFSYNC_OP_FSYNC		= 0,
	AFSYNC_OP_FDATASYNC	= 1,
	AFSYNC_OP_SYNCFS	= 2,
};

/*
 * Flags of a request.
 *
 * AFSYNC_SQE_DRAIN	first wait until direct I/O already in flight on the file
 *			has finished (EOPNOTSUPP where the kernel cannot see it)
 * AFSYNC_SQE_WRITABLE	refuse (EBADF) a descriptor that is not open for writing
 * AFSYNC_SQE_HOLD	accept the request, and report all its errors, now, but queue it
 *			only with AFSYNC_IOC_START. The sync covers everything that was
 *			written before the start, and the start determines the place of
 *			the request in the order.
 */
#define AFSYNC_SQE_DRAIN	(1U << 0)
#define AFSYNC_SQE_WRITABLE	(1U << 1)
#define AFSYNC_SQE_HOLD		(1U << 2)

/**
 * struct afsync_sqe - one request, an element of the array that is submitted
 * @user_data: [in] returned in the completion; any value
 * @fd: [in] descriptor of the file; resolved at submit, may be closed after it
 * @op: [in] enum afsync_op
 * @flags: [in] AFSYNC_SQE_*
 * @ioprio: [in] I/O priority as ioprio_set(2) encodes it, without a hint; 0 to name
 *	none
 * @offset: [in] first byte of the range; 0 for AFSYNC_OP_SYNCFS
 * @length: [in] bytes in the range, 0 = to the end of the file; 0 for
 *	AFSYNC_OP_SYNCFS. offset + length must not exceed 2^63.
 */
struct afsync_sqe {
	__aligned_u64 user_data;
	__s32 fd;
	__u32 op;
	__u32 flags;
	__u32 ioprio;
	__aligned_u64 offset;
	__aligned_u64 length;
};

/*
 * Flags of a completion.
 *
 * AFSYNC_CQE_MERGED	a sync that ran for another request served this one. The number of
 *			completions without this flag, except those with -ECANCELED, is the
 *			number of syncs that ran.
 */
#define AFSYNC_CQE_MERGED	(1U << 0)

/**
 * struct afsync_cqe - one completion, an entry of the ring
 * @user_data: [out] as in the request
 * @res: [out] 0, or the negative errno of the sync; -ECANCELED
 * @flags: [out] AFSYNC_CQE_*
 */
struct afsync_cqe {
	__aligned_u64 user_data;
	__s32 res;
	__u32 flags;
};

/**
 * struct afsync_ring_header - start of the shared memory, at offset 0 of the mapping
 * @head: index of the next entry to read. Written by the program, with release
 *	order, when it is done with the entries before it; the kernel reads it to
 *	count free entries and trusts it for nothing else.
 * @reserved1: keeps the two indices on cache lines of their own
 * @tail: index after the last entry written. Written by the kernel, with release
 *	order, after the entry; load it with acquire order.
 * @mask: number of entries - 1; constant
 * @entries: number of entries, a power of two; constant
 * @cqes_offset: bytes from the start of the mapping to entry 0; constant
 * @id: the ring's number, not 0, different from that of other rings; constant
 * @reserved2: zero
 *
 * A program that writes here can hurt only itself: the kernel
 * keeps its own copy of everything except @head.
 */
struct afsync_ring_header {
	__u32 head;
	__u32 reserved1[15];
	__u32 tail;
	__u32 mask;
	__u32 entries;
	__u32 cqes_offset;
	__u32 id;
	__u32 reserved2[11];
};

/**
 * struct afsync_info - AFSYNC_IOC_INFO: the features and limits of this module
 * @version: [out] AFSYNC_VERSION of the module
 * @ops: [out] bit 1 << AFSYNC_OP_* for each supported operation
 * @sqe_flags: [out] supported AFSYNC_SQE_*
 * @wait_flags: [out] supported AFSYNC_WAIT_*
 * @cancel_match: [out] supported AFSYNC_CANCEL_*
 * @max_entries: [out] most entries of a ring (module parameter)
 * @max_user_requests: [out] most requests in flight of one user (module parameter)
 * @workers_per_fs: [out] most syncs of one user that run at once on one filesystem
 *	(module parameter)
 */
struct afsync_info {
	__u32 version;
	__u32 ops;
	__u32 sqe_flags;
	__u32 wait_flags;
	__u32 cancel_match;
	__u32 max_entries;
	__u32 max_user_requests;
	__u32 workers_per_fs;
};

/*
 * AFSYNC_SETUP_INLINE	a thread that submits and waits in one call may run the sync itself,
 *			as in fsync(2), which saves the switch to a worker; since version 3.
 *			It does so only if it waits for nothing else; afsync(4) has all the
 *			conditions. Signals are then noticed only when the sync has ended,
 *			and the sync has the thread's own I/O priority. For a ring that one
 *			thread uses: completions of another thread's requests do not end the
 *			sync.
 */
#define AFSYNC_SETUP_INLINE	(1U << 0)

/**
 * struct afsync_setup - AFSYNC_IOC_SETUP: make the ring of this open device
 * @entries: [in/out] requested entries, 1 to the limit; rounded up to a power of two
 * @flags: [in] AFSYNC_SETUP_*
 * @mmap_size: [out] bytes to map at offset 0 with PROT_READ | PROT_WRITE and
 *	MAP_SHARED
 */
struct afsync_setup {
	__u32 entries;
	__u32 flags;
	__aligned_u64 mmap_size;
};

/*
 * How to wait.
 *
 * AFSYNC_WAIT_TIMEOUT	give up with ETIME after timeout_ns nanoseconds
 * AFSYNC_WAIT_ABSTIME	timeout_ns is a time of CLOCK_MONOTONIC, not a duration;
 *			only together with AFSYNC_WAIT_TIMEOUT
 * AFSYNC_WAIT_SIGMASK	block the signals of sigmask instead of the thread's own
 *			mask while waiting, as ppoll(2) does; bit n - 1 is signal n
 */
#define AFSYNC_WAIT_TIMEOUT	(1U << 0)
#define AFSYNC_WAIT_ABSTIME	(1U << 1)
#define AFSYNC_WAIT_SIGMASK	(1U << 2)

/**
 * struct afsync_wait - AFSYNC_IOC_WAIT: wait for completions
 * @min_complete: [in] return when this many unread completions are in the ring, 0 to
 *	its number of entries
 * @flags: [in] AFSYNC_WAIT_*
 * @timeout_ns: [in/out] see AFSYNC_WAIT_TIMEOUT, else 0. When a signal ends the
 *	wait, the rest of a relative timeout is written back, so that a restart
 *	continues with the remaining time.
 * @sigmask: [in] see AFSYNC_WAIT_SIGMASK, else 0
 * @ring: [in] 0, or the id of the intended ring; since version 4
 * @reserved: [in] must be 0
 */
struct afsync_wait {
	__u32 min_complete;
	__u32 flags;
	__aligned_u64 timeout_ns;
	__aligned_u64 sigmask;
	__u32 ring;
	__u32 reserved;
};

/*
 * The field @ring of the commands that need a ring: 0, or the id of the intended ring, from
 * the header of the mapping. A descriptor of another ring is then refused with ESTALE. It is
 * for libraries, which cannot know whether the program has closed and reused the descriptor.
 * AFSYNC_IOC_WAIT and AFSYNC_IOC_EVENTFD have it since version 4: an older module fails
 * with E2BIG for an id there.
 */

/* Flag of a submit: once all requests are queued, wait according to the wait fields. */
#define AFSYNC_SUBMIT_WAIT	(1U << 0)

/**
 * struct afsync_submit - AFSYNC_IOC_SUBMIT: queue an array of requests
 * @sqes: [in] address of the array of struct afsync_sqe
 * @nr: [in] number of elements; with 0 the call only waits
 * @sqe_size: [in] bytes from one element to the next, sizeof(struct afsync_sqe)
 * @flags: [in] AFSYNC_SUBMIT_*
 * @error: [out] negative errno of the first request that was not queued, 0 if all
 *	were
 * @min_complete: [in] as in struct afsync_wait
 * @wait_flags: [in] as @flags of struct afsync_wait
 * @timeout_ns: [in/out] as in struct afsync_wait
 * @sigmask: [in] as in struct afsync_wait
 * @wait_result: [out] 0, or the negative errno with which the wait ended
 * @ring: [in] 0, or the id of the intended ring
 */
struct afsync_submit {
	__aligned_u64 sqes;
	__u32 nr;
	__u32 sqe_size;
	__u32 flags;
	__s32 error;
	__u32 min_complete;
	__u32 wait_flags;
	__aligned_u64 timeout_ns;
	__aligned_u64 sigmask;
	__s32 wait_result;
	__u32 ring;
};

/*
 * Which requests of the ring to cancel. USER_DATA and FD together select the requests
 * that match both; ALL allows no other flag.
 */
#define AFSYNC_CANCEL_USER_DATA	(1U << 0)
#define AFSYNC_CANCEL_FD	(1U << 1)
#define AFSYNC_CANCEL_ALL	(1U << 2)

/**
 * struct afsync_cancel - AFSYNC_IOC_CANCEL: cancel queued requests
 * @user_data: [in] for AFSYNC_CANCEL_USER_DATA, else 0
 * @fd: [in] for AFSYNC_CANCEL_FD a descriptor of the same open file, else 0
 * @match: [in] AFSYNC_CANCEL_*
 * @running: [out] how many requests matched but were running; they complete normally
 * @ring: [in] 0, or the id of the intended ring
 */
struct afsync_cancel {
	__aligned_u64 user_data;
	__s32 fd;
	__u32 match;
	__u32 running;
	__u32 ring;
};

/**
 * struct afsync_eventfd - AFSYNC_IOC_EVENTFD: where to signal completions
 * @fd: [in] an eventfd to register, or -1 to unregister
 * @flags: [in] must be 0
 * @ring: [in] 0, or the id of the intended ring; since version 4
 */
struct afsync_eventfd {
	__s32 fd;
	__u32 flags;
	__u32 ring;
};

/**
 * struct afsync_start - AFSYNC_IOC_START: queue held requests
 * @user_data: [in] all held requests of the ring with this user data are queued
 * @flags: [in] must be 0
 * @ring: [in] 0, or the id of the intended ring
 * @last: [in] 0, or not less than @user_data: all held requests with user data from
 *	@user_data to @last are queued; since version 5
 */
struct afsync_start {
	__aligned_u64 user_data;
	__u32 flags;
	__u32 ring;
	__aligned_u64 last;
};

/* Flag of an attach: queue the request as well. */
#define AFSYNC_ATTACH_START	(1U << 0)

/*
 * The only offset at which an attach can be written. Ordinary files reject a negative one
 * (EINVAL), so an attach is never written to a file that has reused the descriptor.
 */
#define AFSYNC_ATTACH_OFFSET	(-4096LL)

/**
 * struct afsync_attach - the data of a kernel AIO write to the ring's descriptor
 * @user_data: [in] of a held request; of several, the oldest not attached yet
 * @flags: [in] AFSYNC_ATTACH_*
 * @ring: [in] 0, or the id of the intended ring
 *
 * An io_submit(2) of IOCB_CMD_PWRITE of exactly this struct, at AFSYNC_ATTACH_OFFSET, takes
 * over the completion of a held request: the write ends when the request does, and the res
 * of its event is the result, 0 or a negative errno. The ring gets no entry. afsync(4) lists
 * the errors of a refused write; write(2) and io_uring always get EINVAL.
 */
struct afsync_attach {
	__aligned_u64 user_data;
	__u32 flags;
	__u32 ring;
};

#define AFSYNC_IOC_MAGIC	0xAF

#define AFSYNC_IOC_INFO		_IOR(AFSYNC_IOC_MAGIC, 0x40, struct afsync_info)
#define AFSYNC_IOC_SETUP	_IOWR(AFSYNC_IOC_MAGIC, 0x41, struct afsync_setup)
#define AFSYNC_IOC_SUBMIT	_IOWR(AFSYNC_IOC_MAGIC, 0x42, struct afsync_submit)
#define AFSYNC_IOC_WAIT		_IOWR(AFSYNC_IOC_MAGIC, 0x43, struct afsync_wait)
#define AFSYNC_IOC_CANCEL	_IOWR(AFSYNC_IOC_MAGIC, 0x44, struct afsync_cancel)
#define AFSYNC_IOC_EVENTFD	_IOW(AFSYNC_IOC_MAGIC, 0x45, struct afsync_eventfd)
#define AFSYNC_IOC_START	_IOW(AFSYNC_IOC_MAGIC, 0x46, struct afsync_start)

#endif /* _UAPI_LINUX_AFSYNC_H */
