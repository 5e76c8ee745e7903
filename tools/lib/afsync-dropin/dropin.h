/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The code that the drop-in libraries libafsync-posix and libafsync-libaio share. It is not a
 * library of its own: both compile these files in, and libafsync-posix parts of libafsync.
 *
 * ring.c gives descriptors high numbers, which programs do not use, and opens, maps and closes
 * a ring for libafsync-libaio. report.c reports on standard error what a library does, if
 * AFSYNC_VERBOSE is set, and counts the requests of programs in a page that
 * `afsync exec --stats` makes and reads.
 *
 * Nothing here changes errno.
 */
#ifndef _AFSYNC_DROPIN_H
#define _AFSYNC_DROPIN_H

#include <features.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/afsync.h>

#define DROPIN_DEVICE	"/dev/afsync"

/*
 * Programs choose whether time_t has 32 bits or 64, and for the latter there are functions
 * with names of their own. The maps of the libraries have the same condition.
 */
#if defined(__TIMESIZE) && __TIMESIZE == 32
#define DROPIN_TIME64
#endif

/* Both libraries can be in one program: each uses its own. */
#pragma GCC visibility push(hidden)

/* ring.c */

/*
 * Moves a descriptor above those that the program opens, close-on-exec. Returns
 * the new number, or the old one where the limit of the process is too low.
 */
int dropin_fd_move(int fd);

struct dropin_ring {
	int fd;
	__u32 wait_id;		/* for AFSYNC_IOC_WAIT: 0 if the module is too old for it */
	bool starts_ranges;	/* AFSYNC_IOC_START does: else the module is too old */
	__u32 entries;
	size_t size;		/* of the mapping */
	struct afsync_ring_header *header;
	struct afsync_cqe *cqes;
};

/*
 * Returns 0 or -errno; -ENOSYS if the module cannot hold requests. Where the module
 * allows fewer @entries, there will be fewer.
 */
int dropin_ring_open(struct dropin_ring *ring, __u32 entries);

/*
 * Is the descriptor still that of the ring? The program may have closed it, or reused the
 * number for a file of its own, even for a ring.
 */
bool dropin_ring_is_ours(const struct dropin_ring *ring);

/* Also for a descriptor that the program has closed, or uses for a file of its own. */
void dropin_ring_close(struct dropin_ring *ring);

/* report.c */

/*
 * If AFSYNC_VERBOSE is set, and neither empty nor 0, writes one line:
 *	@error 0:	"LIBRARY: TEXT"
 *	else		"LIBRARY: no /dev/afsync (ERROR): TEXT"; @error may be negative
 */
void dropin_say(const char *library, const char *text, int error);

/* The counters of a program's requests. A new one goes before DROPIN_NR. */
enum dropin_counter {
	/* aio_fsync() with O_SYNC and O_DSYNC, and how they ended on the device */
	DROPIN_POSIX_FSYNC,
	DROPIN_POSIX_FDATASYNC,
	DROPIN_POSIX_READ,
	DROPIN_POSIX_WRITE,
	DROPIN_POSIX_MERGED,
	DROPIN_POSIX_CANCELLED,
	DROPIN_POSIX_FAILED,
	/* iocbs of io_submit() */
	DROPIN_LIBAIO_FSYNC,
	DROPIN_LIBAIO_FDSYNC,
	DROPIN_LIBAIO_OTHER,
	DROPIN_LIBAIO_CANCELLED,
	/* syncs that went to glibc or to kernel AIO because the device could not be used */
	DROPIN_ELSEWHERE,
	/* processes that loaded another libaio while they ran */
	DROPIN_LIBAIO_PAST,
	DROPIN_NR
};

void dropin_count(enum dropin_counter counter, __u64 n);
/* Are the counts wanted? For those that are expensive to count. */
bool dropin_counts(void);

/*
 * The file that AFSYNC_STATS names. It belongs to the process that made it; processes add
 * to the counters with atomic operations, and never initialise or remove it. Shared
 * memory, so that the counts of a killed process are included, too.
 */
#define DROPIN_STATS_MAGIC	0x73746174736661ULL

struct dropin_stats {
	__aligned_u64 magic;
	__aligned_u64 counters[DROPIN_NR];
};

#pragma GCC visibility pop

#endif /* _AFSYNC_DROPIN_H */
