/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The keeper, for keeper.c, which is its thread, and keep.c, which asks it.
 */
#ifndef _AFSYNC_POSIX_KEEP_H
#define _AFSYNC_POSIX_KEEP_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

/*
 * For descriptors of the keeper's table. ThreadSanitizer watches the functions of the C
 * library, and takes the numbers for those of the program.
 */
static inline void own_close(int fd)
{
	syscall(SYS_close, fd);
}

static inline ssize_t own_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return syscall(SYS_recvmsg, fd, msg, flags);
}

/* What the keeper is asked for; on the stack of the caller, which waits. */
struct job {
	struct link link;
	bool drop;		/* close @fd; else receive it */
	bool done;
	int fd;			/* in the table of the keeper; -1 if it could not be had */
	struct keeper *keeper;
};

struct keeper {
	int send;		/* fixed; in the program's table, as long as it is @inode */
	ino_t inode;		/* fixed */
	int receive;		/* fixed; in the keeper's table */
	uint64_t dev;		/* fixed; of the first file that is to be kept */
	struct link jobs;
	pthread_cond_t work;
	pthread_cond_t answer;
	unsigned int users;	/* callers that wait for it, and files that it keeps */
	struct pool pool;	/* whose threads have its table */
	bool broken;		/* what comes out of the socket is not what went in */
	bool ready;		/* it has its table, or cannot have one: */
	int error;
};

/* keeper.c */
void *keeper_main(void *arg);

/* keep.c */
void __keeper_ends(struct keeper *keeper);

#endif /* _AFSYNC_POSIX_KEEP_H */
