/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libafsync - asynchronous fsync: queue syncs, read their completions
 *
 * The manual page libafsync(7) describes the library, and a page for each function has its
 * rules and an example. This header has the declarations, and for each function what it
 * does, the threads that may call it, whether it blocks, and all errors that it can return.
 *
 * The names and conventions are those of liburing:
 *
 *	struct afsync_ring *ring;
 *	struct afsync_cqe *cqe;
 *	struct afsync_sqe *sqe;
 *
 *	ret = afsync_queue_init(64, &ring, 0);
 *	sqe = afsync_get_sqe(ring);
 *	afsync_prep_fsync(sqe, fd);
 *	ret = afsync_submit(ring);
 *	ret = afsync_wait_cqe(ring, &cqe);
 *	...					// cqe->res: 0, or a negative errno
 *	afsync_cqe_seen(ring, cqe);
 *	afsync_queue_exit(ring);
 *
 * The comments below use these terms, which libafsync(7) explains:
 *
 * Return
 *	0 or a count, or a negative errno. The variable errno does not change.
 *
 * Threads
 *	submitter	one thread at a time, or under a lock of the caller
 *	reader		likewise; it may be another thread than the submitter, without a lock
 *	any		safe from every thread at any time, except while or after
 *			afsync_queue_exit() runs
 *
 * Blocking
 *	never		no system call
 *	short		a system call that does not wait for storage
 *	Only functions with "wait" in their names wait for syncs, and afsync_queue_exit().
 *
 * With threads
 *	The ring has the engine AFSYNC_ENGINE_THREADS: threads of the library run its syncs, not
 *	the module. "Engines" in libafsync(7) lists the differences.
 *
 * The descriptor is lost
 *	The program has closed the descriptor of the ring. The function has done nothing. -EBADF:
 *	the descriptor is closed; -ENOTTY: it now belongs to another file; -ENXIO: to the device,
 *	without a ring; -ESTALE: to another ring.
 *
 * The header compiles as C99 and later and as C++11 and later.
 */
#ifndef LIBAFSYNC_H
#define LIBAFSYNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>		/* sigset_t, which <signal.h> hides with -std=c99 */

#include <linux/afsync.h>
#include <linux/time_types.h>

#ifdef __cplusplus
extern "C" {
/* afsync_submit and afsync_cancel name a function here and a struct there. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

/* Version of this header; afsync_version() is that of the library. */
#define LIBAFSYNC_VERSION_MAJOR	1
#define LIBAFSYNC_VERSION_MINOR	4
#define LIBAFSYNC_VERSION_PATCH	0

/*
 * Flags of afsync_queue_init().
 *
 * AFSYNC_INIT_NO_CLOEXEC	leave the descriptor of the ring open over execve(2)
 * AFSYNC_INIT_INLINE	afsync_submit_and_wait() may run the sync itself, in the calling
 *			thread, if its requests are of one file and no other request is
 *			in flight or unread. That is faster; signals are then noticed
 *			only when the sync has ended. For a ring that one thread uses.
 *			See AFSYNC_SETUP_INLINE in <linux/afsync.h>. Since 1.2.
 * AFSYNC_INIT_CLAMP	if @entries is more than the module allows, the ring gets as many as
 *			the module allows; see afsync_ring_entries(). Since 1.3.
 * AFSYNC_INIT_DEVICE	use only the device: without it afsync_queue_init() fails. Since 1.4.
 * AFSYNC_INIT_THREADS	use only threads of the library, not the device. Since 1.4.
 */
#define AFSYNC_INIT_NO_CLOEXEC	(1U << 0)
#define AFSYNC_INIT_INLINE	(1U << 1)
#define AFSYNC_INIT_CLAMP	(1U << 2)
#define AFSYNC_INIT_DEVICE	(1U << 3)
#define AFSYNC_INIT_THREADS	(1U << 4)

/**
 * enum afsync_engine - the engine that runs the syncs
 * @AFSYNC_ENGINE_DEVICE: the module, through /dev/afsync
 * @AFSYNC_ENGINE_THREADS: threads of the library
 */
enum afsync_engine {
	AFSYNC_ENGINE_DEVICE	= 0,
	AFSYNC_ENGINE_THREADS	= 1,
};

/* A ring; only the library looks inside. */
struct afsync_ring;

/*
 * Making and freeing a ring
 */

/**
 * afsync_queue_init() - make a ring
 * @entries: requests that can be in flight or unread at once, and prepared at
 *	once; 1 to the limit of the module, rounded up to a power of two
 * @ringp: [out] the ring; NULL on failure. The caller owns it and frees it with
 *	afsync_queue_exit().
 * @flags: AFSYNC_INIT_*
 *
 * Opens /dev/afsync. The descriptor is closed on execve(2) unless
 * AFSYNC_INIT_NO_CLOEXEC is given. Where it cannot be opened, because there is no module or
 * no permission, threads of the library sync, unless AFSYNC_INIT_DEVICE is given. The first
 * request creates the threads and their descriptors.
 *
 * Threads: any. Blocking: short.
 *
 * Return: 0, or
 *	-EINVAL	@entries is 0, or above the limit without AFSYNC_INIT_CLAMP; or a flag is
 *		unknown, to the library or (AFSYNC_INIT_INLINE, before interface version 3)
 *		to the module; or both AFSYNC_INIT_DEVICE and AFSYNC_INIT_THREADS
 *	-EMFILE, -ENFILE	too many open files, of the process or the system
 *	-ENOMEM	out of memory
 *	-EAGAIN	the process locks its memory (mlockall(2)) and has reached its limit
 * and with AFSYNC_INIT_DEVICE
 *	-ENOENT	there is no /dev/afsync: the module is not loaded
 *	-ENODEV, -ENXIO	/dev/afsync is there, but no module behind it
 *	-EACCES	no permission to open /dev/afsync
 *	-EPERM	no permission, by a device control group or a seccomp filter
 *	-ENOTTY	/dev/afsync is another file or device
 */
int afsync_queue_init(unsigned int entries, struct afsync_ring **ringp,
		      unsigned int flags);

/**
 * afsync_queue_attach() - use a ring that another process or program set up
 * @fd: descriptor of the ring, from afsync_ring_fd() in the process that
 *	made the ring, that came over execve(2) or a socket. On success it
 *	belongs to the ring and afsync_queue_exit() closes it; on failure it still
 *	belongs to the caller.
 * @ringp: [out] the ring; NULL on failure
 *
 * Both processes can submit. Only one of them may be the reader.
 *
 * Threads: any. Blocking: short.
 *
 * Return: 0, or
 *	-EBADF	@fd is not an open descriptor, or opened with O_PATH
 *	-ENOTTY	@fd is not of /dev/afsync
 *	-ENXIO	no ring was set up on @fd
 *	-EACCES	@fd is not open for reading and writing
 *	-EINVAL	a process overwrote the header of the ring
 *	-ENOMEM	out of memory
 *	-EAGAIN	as in afsync_queue_init()
 */
int afsync_queue_attach(int fd, struct afsync_ring **ringp);

/**
 * afsync_queue_exit() - free a ring
 * @ring: the ring; NULL is allowed and does nothing
 *
 * Unmaps the ring, closes its descriptor and frees everything; all pointers into
 * the ring become invalid. A lost descriptor is not closed, nor is one whose owner cannot
 * be checked (seccomp(2)). If this was the last descriptor and mapping
 * of the ring in any process, queued requests are cancelled and running
 * ones waited for; their completions are lost.
 *
 * Threads: none may use @ring any more. Blocking: for running syncs.
 */
void afsync_queue_exit(struct afsync_ring *ring);

/*
 * Preparing requests
 */

/**
 * afsync_get_sqe() - get an empty request
 * @ring: the ring
 *
 * The ring keeps up to afsync_ring_entries() prepared requests. The pointer is
 * valid until the next afsync_submit*() or afsync_sq_drop(). The request is zeroed except
 * for fd, which is -1: one that is not prepared is refused with -EBADF.
 *
 * Threads: submitter. Never blocks.
 *
 * Return: the request, or NULL when all are in use: submit first.
 */
struct afsync_sqe *afsync_get_sqe(struct afsync_ring *ring);

/**
 * afsync_prep_fsync() - prepare an fsync(2) of @fd
 * @sqe: from afsync_get_sqe()
 * @fd: descriptor, resolved when the request is submitted; it may be closed
 *	once afsync_submit() has queued the request
 *
 * The afsync_prep_*() functions set operation, descriptor and range, and
 * leave user data, flags and priority unchanged; so the order of the calls does not
 * matter. They check nothing: afsync_submit() does.
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_prep_fsync(struct afsync_sqe *sqe, int fd);

/**
 * afsync_prep_fdatasync() - prepare an fdatasync(2) of @fd
 * @sqe: from afsync_get_sqe()
 * @fd: as in afsync_prep_fsync()
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_prep_fdatasync(struct afsync_sqe *sqe, int fd);

/**
 * afsync_prep_fsync_range() - prepare an fsync(2) of a part of @fd
 * @sqe: from afsync_get_sqe()
 * @fd: as in afsync_prep_fsync()
 * @offset: first byte
 * @length: number of bytes, 0 = to the end of the file; @offset + @length must
 *	not exceed 2^63
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_prep_fsync_range(struct afsync_sqe *sqe, int fd, uint64_t offset,
			     uint64_t length);

/**
 * afsync_prep_fdatasync_range() - prepare an fdatasync(2) of a part of @fd
 * @sqe: from afsync_get_sqe()
 * @fd: as in afsync_prep_fsync()
 * @offset: as in afsync_prep_fsync_range()
 * @length: as in afsync_prep_fsync_range()
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_prep_fdatasync_range(struct afsync_sqe *sqe, int fd,
				 uint64_t offset, uint64_t length);

/**
 * afsync_prep_syncfs() - prepare a syncfs(2) of the filesystem that holds @fd
 * @sqe: from afsync_get_sqe()
 * @fd: as in afsync_prep_fsync()
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_prep_syncfs(struct afsync_sqe *sqe, int fd);

/**
 * afsync_sqe_set_data64() - set the user data of a request
 * @sqe: from afsync_get_sqe()
 * @data: any value; the completion returns it
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_sqe_set_data64(struct afsync_sqe *sqe, uint64_t data);

/**
 * afsync_sqe_set_data() - set the user data of a request to a pointer
 * @sqe: from afsync_get_sqe()
 * @data: any value; the library does not follow it
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_sqe_set_data(struct afsync_sqe *sqe, void *data);

/**
 * afsync_sqe_set_flags() - set the flags of a request
 * @sqe: from afsync_get_sqe()
 * @flags: AFSYNC_SQE_*; replaces the previous flags
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_sqe_set_flags(struct afsync_sqe *sqe, unsigned int flags);

/**
 * afsync_sqe_set_ioprio() - set the I/O priority of a request
 * @sqe: from afsync_get_sqe()
 * @ioprio: as ioprio_set(2) encodes it, 0 for none
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
void afsync_sqe_set_ioprio(struct afsync_sqe *sqe, unsigned int ioprio);

/*
 * Submitting
 */

/**
 * afsync_submit() - queue the prepared requests
 * @ring: the ring
 *
 * Requests are queued in the order of afsync_get_sqe(), with one system call. The
 * call stops at the first request that is refused. The requests before it are queued and
 * no longer prepared. The refused one and those after it stay
 * prepared, and the next call begins with the refused one.
 *
 * A count below afsync_sq_ready() therefore means that the first request that is still
 * prepared was refused, and the next call returns its error. After -EAGAIN read
 * completions and submit again. Any other error belongs to that request, and persists:
 * remove the request with afsync_sq_drop() and continue with the others.
 *
 * Threads: submitter. Blocking: short.
 *
 * Return: number of requests queued, 0 if none was prepared, or, if the first
 * prepared one was refused,
 *	-EAGAIN	no free entry in the ring (read completions), the limit of
 *		the user is reached, or out of memory
 *	-EBADF	bad descriptor, opened with O_PATH, or not open for writing
 *		with AFSYNC_SQE_WRITABLE
 *	-EINVAL	unknown operation or flag, impossible range or priority, or a
 *		file that cannot be synced (pipe, socket, a ring)
 *	-EPERM	realtime priority without CAP_SYS_NICE or CAP_SYS_ADMIN
 *	-EOPNOTSUPP	AFSYNC_SQE_DRAIN on a file whose direct I/O the kernel
 *		cannot see; with threads see "Engines" in libafsync(7)
 * or, with nothing queued,
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_submit(struct afsync_ring *ring);

/**
 * afsync_submit_and_wait() - queue the prepared requests and wait
 * @ring: the ring
 * @wait_nr: wait until this many completions are unread; 0 waits for none
 *
 * As afsync_submit(), and waits in the same system call. It does not wait if a
 * request was refused. If nothing is prepared it only waits, and makes no
 * system call if @wait_nr completions are in the ring already.
 *
 * A signal handler ends the wait. If requests were queued, the count is
 * returned; afsync_sq_wait_result() then returns how the wait ended. With nothing
 * prepared the rules of afsync_wait_cqe() apply.
 *
 * Threads: submitter. Blocking: until @wait_nr completions are unread, for ever
 * if fewer are in flight.
 *
 * Return: number of requests queued, or the errors of afsync_submit() and
 *	-EINVAL	@wait_nr is larger than afsync_ring_entries(); nothing queued
 *	-EINTR	nothing was prepared, and a signal handler ran
 *	-ENOMEM	nothing was prepared, and as in afsync_wait_cqes()
 */
int afsync_submit_and_wait(struct afsync_ring *ring, unsigned int wait_nr);

/**
 * afsync_submit_and_wait_timeout() - the same with a limit in time
 * @ring: the ring
 * @cqe_ptr: [out] the first unread completion, or NULL if there is none;
 *	may be NULL itself
 * @wait_nr: as in afsync_submit_and_wait()
 * @ts: longest time to wait, relative (seconds and nanoseconds); NULL for ever
 * @sigmask: signals to block while waiting instead of the thread's own mask, as
 *	in ppoll(2); NULL keeps the thread's mask
 *
 * If requests were queued, the count is returned however the wait ended;
 * afsync_sq_wait_result() then returns how.
 *
 * Threads: submitter and reader; submitter with NULL for @cqe_ptr. Blocking: until
 * @wait_nr completions are unread, @ts is over or a signal handler ran.
 *
 * Return: number of requests queued, or the errors of afsync_submit() and
 *	-EINVAL	@wait_nr is larger than afsync_ring_entries(), or @ts is
 *		negative or has 1,000,000,000 nanoseconds or more; nothing queued
 *	-ETIME	nothing was prepared, and @ts is over
 *	-EINTR	nothing was prepared, and a signal handler ran
 *	-ENOMEM	nothing was prepared, and as in afsync_wait_cqes()
 */
int afsync_submit_and_wait_timeout(struct afsync_ring *ring,
				   struct afsync_cqe **cqe_ptr,
				   unsigned int wait_nr,
				   const struct __kernel_timespec *ts,
				   const sigset_t *sigmask);

/**
 * afsync_submit_and_wait_until() - the same with a time at which it ends
 * @ring: the ring
 * @cqe_ptr: as in afsync_submit_and_wait_timeout()
 * @wait_nr: as in afsync_submit_and_wait()
 * @until: time of CLOCK_MONOTONIC at which to give up, in the time namespace of the
 *	caller; NULL for never. With a time that has passed, the call does not wait.
 * @sigmask: as in afsync_submit_and_wait_timeout()
 *
 * For a wait that is repeated, after a signal or for more completions, and must
 * end at the same time. Since 1.3.
 *
 * Threads, blocking: as afsync_submit_and_wait_timeout(), with @until for @ts.
 *
 * Return: number of requests queued, or the errors of afsync_submit() and
 *	-EINVAL	@wait_nr is larger than afsync_ring_entries(), or @until is
 *		negative or has 1,000,000,000 nanoseconds or more; nothing queued
 *	-ETIME	nothing was prepared, and @until has come
 *	-EINTR	nothing was prepared, and a signal handler ran
 *	-ENOMEM	nothing was prepared, and as in afsync_wait_cqes()
 */
int afsync_submit_and_wait_until(struct afsync_ring *ring,
				 struct afsync_cqe **cqe_ptr,
				 unsigned int wait_nr,
				 const struct __kernel_timespec *until,
				 const sigset_t *sigmask);

/**
 * afsync_sq_wait_result() - how the wait of the last submit ended
 * @ring: the ring
 *
 * Of the last call of afsync_submit() or another function whose name begins so. If
 * nothing was prepared, this is also what that function returned. Since 1.3.
 *
 * Threads: submitter. Never blocks.
 *
 * Return: 0 if the completions had arrived, or it did not wait, or
 *	-ETIME	the time was over
 *	-EINTR	a signal handler ran
 *	-ENOMEM	as in afsync_wait_cqes()
 */
int afsync_sq_wait_result(const struct afsync_ring *ring);

/**
 * afsync_sq_ready() - number of prepared requests that are not queued yet
 * @ring: the ring
 *
 * Threads: submitter. Never blocks. Cannot fail.
 */
unsigned int afsync_sq_ready(const struct afsync_ring *ring);

/**
 * afsync_sq_drop() - remove the first prepared request
 * @ring: the ring
 * @sqe: [out] copy of the removed request; may be NULL
 * @size: sizeof(*@sqe), see "Sizes" in libafsync(7); ignored if @sqe is NULL
 *
 * For a request that afsync_submit() refuses. Moves the others up; pointers from
 * afsync_get_sqe() become invalid.
 *
 * Threads: submitter. Never blocks.
 *
 * Return: 0, or -ENOENT if none is prepared
 */
int afsync_sq_drop(struct afsync_ring *ring, struct afsync_sqe *sqe,
		   size_t size);

/*
 * Reading completions. A completion stays in the ring, and takes up one of its
 * entries, until afsync_cqe_seen() or afsync_cq_advance() gives it back; the
 * pointer is valid until then.
 */

/**
 * afsync_peek_cqe() - look at the first unread completion
 * @ring: the ring
 * @cqe_ptr: [out] the completion, NULL on failure
 *
 * Threads: reader. Never blocks.
 *
 * Return: 0, or -EAGAIN if there is none
 */
int afsync_peek_cqe(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr);

/**
 * afsync_peek_batch_cqe() - look at several unread completions
 * @ring: the ring
 * @cqes: [out] array of @count pointers, filled from the front, oldest first
 * @count: number of elements
 *
 * Threads: reader. Never blocks.
 *
 * Return: number of pointers stored, 0 if no completion is unread
 */
unsigned int afsync_peek_batch_cqe(struct afsync_ring *ring,
				   struct afsync_cqe **cqes,
				   unsigned int count);

/**
 * afsync_wait_cqe() - wait for a completion
 * @ring: the ring
 * @cqe_ptr: [out] the first unread completion, NULL on failure
 *
 * Makes no system call if a completion has already arrived.
 *
 * A thread that is not the reader may wait too if it passes NULL for @cqe_ptr,
 * here and in the next three functions.
 *
 * A signal whose handler was installed with SA_RESTART does not end the
 * wait.
 *
 * Threads: reader; any with NULL for @cqe_ptr. Blocking: until a completion
 * arrives, for ever if nothing is in flight.
 *
 * Return: 0, or
 *	-EINTR	a signal handler ran
 *	-ENOMEM	with threads: out of memory
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_wait_cqe(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr);

/**
 * afsync_wait_cqe_timeout() - wait for a completion, with a limit in time
 * @ring: the ring
 * @cqe_ptr: as in afsync_wait_cqe()
 * @ts: longest time to wait, relative (seconds and nanoseconds); NULL for ever
 *
 * As afsync_wait_cqe(). A wait that continues after a signal does so with the
 * remaining time.
 *
 * Threads, blocking: as afsync_wait_cqe().
 *
 * Return: 0, or
 *	-ETIME	@ts is over
 *	-EINTR	a signal handler ran
 *	-EINVAL	@ts is negative or has 1,000,000,000 nanoseconds or more
 *	-ENOMEM	with threads: out of memory
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_wait_cqe_timeout(struct afsync_ring *ring,
			    struct afsync_cqe **cqe_ptr,
			    const struct __kernel_timespec *ts);

/**
 * afsync_wait_cqes() - wait for several completions
 * @ring: the ring
 * @cqe_ptr: [out] the first unread completion, NULL on failure
 * @wait_nr: wait until this many are unread; with 0 as afsync_peek_cqe()
 * @ts: longest time to wait, relative (seconds and nanoseconds); NULL for ever
 * @sigmask: signals to block while waiting instead of the thread's own mask, as
 *	in ppoll(2); NULL keeps the thread's mask
 *
 * Does not submit. Completions that arrived before a failure stay in the ring:
 * afsync_peek_cqe() returns them. With @sigmask every signal handler ends the wait, even
 * one installed with SA_RESTART.
 *
 * Threads: as afsync_wait_cqe(). Blocking: until @wait_nr completions are unread,
 * for ever if fewer are in flight and @ts is NULL.
 *
 * Return: 0, or
 *	-EAGAIN	@wait_nr is 0 and no completion is unread
 *	-ETIME	@ts is over
 *	-EINTR	a signal handler ran
 *	-EINVAL	@wait_nr is larger than afsync_ring_entries(), or @ts is
 *		negative or has 1,000,000,000 nanoseconds or more
 *	-ENOMEM	with threads: out of memory or, with a mask, descriptors
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_wait_cqes(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr,
		     unsigned int wait_nr, const struct __kernel_timespec *ts,
		     const sigset_t *sigmask);

/**
 * afsync_wait_cqes_until() - wait for several completions until a time
 * @ring: the ring
 * @cqe_ptr: as in afsync_wait_cqes()
 * @wait_nr: as in afsync_wait_cqes()
 * @until: time of CLOCK_MONOTONIC at which to give up, in the time namespace of the
 *	caller; NULL for never. With a time that has passed, the call does not wait.
 * @sigmask: as in afsync_wait_cqes()
 *
 * As afsync_wait_cqes(). Since 1.3.
 *
 * Threads, blocking: as afsync_wait_cqes(), with @until for @ts.
 *
 * Return: 0, or
 *	-EAGAIN	@wait_nr is 0 and no completion is unread
 *	-ETIME	@until has come
 *	-EINTR	a signal handler ran
 *	-EINVAL	@wait_nr is larger than afsync_ring_entries(), or @until is
 *		negative or has 1,000,000,000 nanoseconds or more
 *	-ENOMEM	with threads: out of memory or, with a mask, descriptors
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_wait_cqes_until(struct afsync_ring *ring, struct afsync_cqe **cqe_ptr,
			   unsigned int wait_nr,
			   const struct __kernel_timespec *until,
			   const sigset_t *sigmask);

/**
 * afsync_cqe_seen() - give back one completion
 * @ring: the ring
 * @cqe: the first unread completion; NULL does nothing
 *
 * Completions are given back in order, so this is always the oldest one.
 *
 * Threads: reader. Never blocks. Cannot fail.
 */
void afsync_cqe_seen(struct afsync_ring *ring, const struct afsync_cqe *cqe);

/**
 * afsync_cq_advance() - give back several completions
 * @ring: the ring
 * @count: how many, oldest first; at most as many as are unread
 *
 * Threads: reader. Never blocks. Cannot fail.
 */
void afsync_cq_advance(struct afsync_ring *ring, unsigned int count);

/**
 * afsync_cq_ready() - number of unread completions
 * @ring: the ring
 *
 * Threads: any. Never blocks. Cannot fail.
 */
unsigned int afsync_cq_ready(const struct afsync_ring *ring);

/**
 * afsync_cq_head() - index of the first unread completion
 * @ring: the ring
 *
 * For afsync_for_each_cqe(). Indices run freely and wrap at 2^32.
 *
 * Threads: reader. Never blocks. Cannot fail.
 */
uint32_t afsync_cq_head(const struct afsync_ring *ring);

/**
 * afsync_cq_entry() - the completion with a given index
 * @ring: the ring
 * @head: index, from afsync_cq_head() upwards
 *
 * For afsync_for_each_cqe().
 *
 * Threads: reader. Never blocks.
 *
 * Return: the completion, or NULL if it has not arrived yet
 */
struct afsync_cqe *afsync_cq_entry(const struct afsync_ring *ring,
				   uint32_t head);

/**
 * afsync_for_each_cqe() - loop over the unread completions, oldest first
 * @ring: the ring
 * @head: variable of type uint32_t or unsigned int that the loop uses
 * @cqe: variable of type struct afsync_cqe * that points to the completion
 *
 * Count the rounds and give the completions back after the loop, with
 * afsync_cq_advance(). The loop continues as long as new ones arrive.
 *
 * Threads: reader. Never blocks.
 */
#define afsync_for_each_cqe(ring, head, cqe)				\
	for ((head) = afsync_cq_head(ring);				\
	     ((cqe) = afsync_cq_entry((ring), (head))) != NULL;		\
	     (head)++)

/**
 * afsync_cqe_get_data64() - user data of a completion
 * @cqe: the completion
 *
 * Threads: reader. Never blocks. Cannot fail.
 */
uint64_t afsync_cqe_get_data64(const struct afsync_cqe *cqe);

/**
 * afsync_cqe_get_data() - user data of a completion, as a pointer
 * @cqe: the completion
 *
 * Threads: reader. Never blocks. Cannot fail.
 */
void *afsync_cqe_get_data(const struct afsync_cqe *cqe);

/*
 * Cancelling. Only requests that were submitted and that no sync serves yet can be
 * cancelled; they complete with -ECANCELED a moment later. Running ones complete
 * normally. Prepared requests are not affected.
 */

/**
 * afsync_cancel() - cancel the requests with given user data
 * @ring: the ring
 * @user_data: as in afsync_sqe_set_data64()
 *
 * Threads: any. Blocking: short.
 *
 * Return: number of requests cancelled, 1 or more, or
 *	-EALREADY	all matching requests are already running
 *	-ENOENT		none matches: never submitted, or completed
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_cancel(struct afsync_ring *ring, uint64_t user_data);

/**
 * afsync_cancel_fd() - cancel the requests for an open file
 * @ring: the ring
 * @fd: a descriptor of the same open file (the same one, or a duplicate)
 *
 * Threads: any. Blocking: short.
 *
 * Return: as afsync_cancel(), and
 *	-EBADF		@fd is not an open descriptor, or opened with O_PATH
 *	-EAGAIN		with threads: out of descriptors
 *	-EOPNOTSUPP	with threads: see "Engines" in libafsync(7)
 */
int afsync_cancel_fd(struct afsync_ring *ring, int fd);

/**
 * afsync_cancel_all() - cancel all requests of the ring
 * @ring: the ring
 *
 * Threads: any. Blocking: short.
 *
 * Return: as afsync_cancel()
 */
int afsync_cancel_all(struct afsync_ring *ring);

/**
 * afsync_cancel_match() - cancel the requests that match, and count those that run
 * @ring: the ring
 * @match: AFSYNC_CANCEL_USER_DATA, AFSYNC_CANCEL_FD, both, for the requests that match
 *	both, or AFSYNC_CANCEL_ALL alone
 * @user_data: as in afsync_cancel(); ignored without AFSYNC_CANCEL_USER_DATA
 * @fd: as in afsync_cancel_fd(); ignored without AFSYNC_CANCEL_FD
 * @running: [out] how many match and are running; 0 on a failure other than -EALREADY;
 *	may be NULL
 *
 * Since 1.3.
 *
 * Threads: any. Blocking: short.
 *
 * Return: as afsync_cancel(), and
 *	-EBADF		@fd is not an open descriptor, or opened with O_PATH
 *	-EINVAL		@match is 0, has an unknown bit, or AFSYNC_CANCEL_ALL and another
 *	-EAGAIN, -EOPNOTSUPP	as in afsync_cancel_fd()
 */
int afsync_cancel_match(struct afsync_ring *ring, unsigned int match,
			uint64_t user_data, int fd, unsigned int *running);

/*
 * Held requests: submitted with AFSYNC_SQE_HOLD, so accepted and checked for every error,
 * but queued only by these functions.
 */

/**
 * afsync_start() - queue held requests
 * @ring: the ring
 * @user_data: all held requests with this user data, as in afsync_sqe_set_data64()
 *
 * The sync covers everything that was written before this call.
 *
 * Threads: any. Blocking: short.
 *
 * Return: number of requests queued, 1 or more, or
 *	-ENOENT		no held request has this user data
 *	-ENOTTY		the module is older than this function
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_start(struct afsync_ring *ring, uint64_t user_data);

/**
 * afsync_start_range() - queue held requests with different user data
 * @ring: the ring
 * @first: the smallest user data of the requests
 * @last: the largest; all held requests with user data from @first to @last are queued,
 *	in the order in which they were submitted
 *
 * As afsync_start(). All are put into the queues of their files before a queue is started, so
 * those for one file are synced together, unlike with a call of afsync_start() for each.
 *
 * Since 1.4.
 *
 * Threads: any. Blocking: short.
 *
 * Return: as afsync_start(), and
 *	-EINVAL		@first is greater than @last
 *	-ENOTTY		the module is older than this function
 */
int afsync_start_range(struct afsync_ring *ring, uint64_t first, uint64_t last);

/*
 * Event loops
 */

/**
 * afsync_register_eventfd() - signal an eventfd when completions arrive
 * @ring: the ring
 * @fd: an eventfd(2); still belongs to the caller, who may close it at any time
 *
 * The eventfd is a hint to look at the ring: its count is not the number of
 * completions. Read the eventfd first, then the ring until it is empty.
 *
 * Threads: any. Blocking: short.
 *
 * Return: 0, or
 *	-EBUSY	an eventfd is registered already
 *	-EBADF	@fd is not an open descriptor
 *	-EINVAL	@fd is not an eventfd
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 *	-ENOMEM	with threads: out of memory or descriptors
 */
int afsync_register_eventfd(struct afsync_ring *ring, int fd);

/**
 * afsync_unregister_eventfd() - stop signalling the eventfd
 * @ring: the ring
 *
 * Threads: any. Blocking: short.
 *
 * Return: 0, or
 *	-ENXIO	none is registered
 *	-EBADF, -ENOTTY, -ENXIO, -ESTALE	the descriptor is lost
 */
int afsync_unregister_eventfd(struct afsync_ring *ring);

/**
 * afsync_ring_fd() - descriptor of the ring
 * @ring: the ring
 *
 * For poll(2) and epoll(7), where it is readable while completions are unread,
 * and for passing the ring to another process. It belongs to the ring: do not
 * close it.
 *
 * With threads the first call creates the descriptor, and from then on two threads stay.
 *
 * Threads: any. Blocking: short.
 *
 * Return: the descriptor; or, with threads,
 *	-ENOMEM	out of memory or descriptors
 *	-EBADF	the descriptor is lost
 */
int afsync_ring_fd(const struct afsync_ring *ring);

/**
 * afsync_ring_entries() - number of entries of the ring, a power of two
 * @ring: the ring
 *
 * Threads: any. Never blocks. Cannot fail.
 */
unsigned int afsync_ring_entries(const struct afsync_ring *ring);

/**
 * afsync_ring_engine() - the engine that syncs for the ring
 * @ring: the ring
 *
 * Since 1.4.
 *
 * Threads: any. Never blocks. Cannot fail.
 *
 * Return: AFSYNC_ENGINE_DEVICE or AFSYNC_ENGINE_THREADS
 */
int afsync_ring_engine(const struct afsync_ring *ring);

/*
 * Information
 */

/**
 * afsync_get_info() - features and limits of the module, or of the library without it
 * @info: [out] see struct afsync_info; unchanged on failure
 * @size: sizeof(*@info), see "Sizes" in libafsync(7)
 *
 * Opens /dev/afsync, reads its information, and closes it; no ring is needed. If
 * afsync_queue_init() would make a ring with threads of the library, *@info describes
 * those threads, and the version is 0.
 *
 * Threads: any. Blocking: short.
 *
 * Return: 0, or -EMFILE, -ENFILE as afsync_queue_init(), and if AFSYNC_ENGINE is "device"
 * -ENOENT, -ENODEV, -ENXIO, -EACCES, -EPERM, -ENOTTY
 */
int afsync_get_info(struct afsync_info *info, size_t size);

/**
 * afsync_version() - version of the library
 *
 * Threads: any. Never blocks. Cannot fail.
 *
 * Return: "major.minor.patch", a constant string
 */
const char *afsync_version(void);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* LIBAFSYNC_H */
