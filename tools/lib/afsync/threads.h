/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The backend of a ring without the device: threads of the library sync.
 *
 *	threads.c	the functions of the backend
 *	check.c		may this request be queued, and of what file is it?
 *	queue.c		queues the requests that a ring submits
 *	parcel.c	sends descriptors to the threads
 *	team.c		the threads
 *	table.c		the threads' table of descriptors
 *	file.c		queues of requests, one per open file, and the limit of a filesystem
 *	sync.c		one sync for all waiting requests, and the completions
 *	cancel.c	cancels requests
 *	wait.c, bell.c	waiting, eventfds, and the descriptor that can be polled
 *	here.c		where there can be no such threads, or a thread is not needed
 *	lock.c		the lock, and fork
 *	object.c, thread.c	memory, making a thread
 *
 * A request keeps its file, not a number: the program may close the descriptor, or use it
 * for something else, when afsync_submit() returns. A duplicate in the program's table
 * would be enough for that, but closing any descriptor of a file drops the POSIX record locks
 * that the program has on it. Those belong to a table of descriptors. So the threads
 * have a table of their own, and the descriptor is sent to them over a socket.
 *
 *	program					a thread of the team
 *	  check the requests
 *	  send the descriptors, and		  receive them; find the queue of
 *	  queue the requests of each		  each open file
 *	  wake a thread			  take all that wait for one file, sync
 *						  let go of the file, fill the ring, wake
 *
 * All is under one lock, with signals blocked, for functions that are called in signal
 * handlers; a thread drops it for each call that may wait for storage. A function is
 * called under the lock unless it says otherwise below.
 *
 * Memory is not malloc()'s (object.c).
 */
#ifndef AFSYNC_THREADS_H
#define AFSYNC_THREADS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "internal.h"
#include "list.h"

/* Syncs of one filesystem that run at once: as the module's workers_per_fs. */
#define THREADS_PER_FS	64

/* The state of the calling thread that afsync_lock() changed. */
struct unlocked {
	sigset_t signals;
	int cancel;
};

/*
 * A descriptor on its way to the team, and its owner there: a file, a bell, or a question
 * (cancel.c). fd is -1 until it has arrived, and if it cannot be received.
 */
struct parcel {
	struct link sent;
	int fd;
	/* In a thread of the team, which keeps the lock. */
	void (*arrived)(struct parcel *parcel);
};

/* The identity of a file as far as fstat(2) gives it, and the filesystem, or disk, it is on. */
struct file_id {
	uint64_t dev;
	uint64_t inode;
	uint64_t lane;
};

static inline uint64_t device_of(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

static inline bool same_inode(const struct file_id *a, const struct file_id *b)
{
	return a->inode == b->inode && a->dev == b->dev;
}

/* Copies of the program's descriptors in the table of a team, to be closed. */
struct copies {
	unsigned char *open;
	int end;
};

#define FILE_BUCKETS	256

/* The threads with one table, and how to reach them. All fields: the lock. */
struct team {
	int send;		/* in the program's table, as long as it is that inode */
	ino_t inode;
	int receive;		/* in the team's table */
	ino_t receive_inode;
	pid_t tid;		/* of a thread, 0 if none has set it */
	struct link sent;	/* parcels in the socket, in order */
	struct link started;	/* requests that come after one of those */
	struct link files[FILE_BUCKETS];	/* that have arrived, by their id */
	struct link all_lanes;
	struct link lanes;	/* those with files that are ready and room for a sync */
	struct link cancelled;	/* requests whose completions are due */
	struct link questions;	/* that have arrived (cancel.c) */
	struct link dropped;	/* bells that are to be closed, by their parcels */
	struct link due;	/* and those that are to be rung */
	pthread_cond_t work;
	pthread_cond_t received;	/* the socket is empty */
	unsigned int idle;
	unsigned int threads;
	unsigned int pins;	/* requests and bells */
	unsigned int kept;	/* descriptors in its table, or on their way there */
	bool over;		/* end as soon as there is nothing to do */
	bool ready;		/* the first thread has its table, or cannot have one: */
	int error;
};

/* A filesystem with requests. */
struct lane {
	struct link link;	/* of all_lanes */
	struct link ready;	/* of team->lanes, or alone */
	struct link files;	/* ready ones */
	uint64_t id;
	unsigned int refs;	/* its files */
	unsigned int running;
	unsigned int cancelling;	/* of those: close what was cancelled */
};

/*
 * The queue of one open file, or of the syncfs(2) of its filesystem. It exists while it has
 * requests. Requests that arrived for it with a descriptor of their own came in a file
 * of their own, which is an extra of this one until it is closed.
 */
struct file {
	struct parcel parcel;	/* the descriptor */
	struct link link;	/* of team->files, or of the extras of one */
	struct link ready;	/* of lane->files, or alone */
	struct link waiting;	/* requests, in order */
	struct link held;	/* requests */
	struct link extras;
	struct team *team;
	struct lane *lane;
	struct file_id id;
	bool syncfs;
	bool arrived;
	bool running;		/* a thread syncs it, or closes it */
	bool closing;		/* parcel.fd may be another file's by now */
	bool behind;		/* an older one, with which it cannot be compared */
	unsigned int refs;	/* requests, of all states */
};

enum request_state {
	REQUEST_FREE,
	REQUEST_HELD,		/* in file->held */
	REQUEST_WAITING,	/* in file->waiting, or team->started */
	REQUEST_RUNNING,
	REQUEST_CANCELLED,	/* in team->cancelled */
};

struct request {
	struct link link;
	struct link age;		/* of threads->by_age */
	struct parcel *after;		/* in team->started */
	struct afsync_ring *ring;
	struct file *file;
	uint64_t user_data;
	uint32_t op;
	uint32_t ioprio;
	enum request_state state;
};

/* Wakes the program: an eventfd of the program, or a pipe whose reading end it has. */
struct bell {
	struct parcel parcel;	/* the end that the team writes to */
	struct team *team;
	bool is_eventfd;
	bool arrived;
	bool dropped;		/* to be closed when it has arrived */
	bool rung;		/* it is readable; of a pipe: there is a byte in it */
	int fd;			/* of a pipe: the other end, as long as it is that inode */
	ino_t inode;
};

/* A thread that waits, or has waited; one that a handler left by longjmp() comes back. */
struct waiter {
	struct link link;
	pid_t tid;		/* 0: no thread */
	unsigned int min;
	uint32_t woken;		/* atomic; a futex */
	struct bell *bell;	/* for waits with a signal mask */
};

/* What the backend adds to a ring. */
struct afsync_threads {
	struct request *requests;	/* as many as entries; NULL before the first submit */
	struct link free;
	struct link by_age;		/* requests without completion, the oldest first */
	struct link notify;		/* of rings with new completions, or alone */
	struct afsync_ring *ring;
	unsigned int in_flight;		/* requests without completion */
	struct team *team;		/* NULL: no request and no bell of the ring is there */
	unsigned int pins;
	uint32_t generation;		/* another one: the ring is of a parent process */
	bool run_inline;
	bool alone;			/* see AFSYNC_THREADS_ALONE */
	struct link waiters;
	struct bell *eventfd;
	struct bell *poll;
	uint32_t polled;		/* there is one; atomic, for the reader */
	pthread_cond_t quiet;		/* nothing is in flight */
};

extern uint32_t afsync_generation;	/* counts forks; atomic */

/* queue.c; the first one without the lock */
int afsync_queue_all(struct afsync_ring *ring, struct afsync_submit *arg);
int afsync_queue_held(struct afsync_ring *ring, uint64_t first, uint64_t last);
void afsync_queue_started(struct team *team, const struct parcel *parcel);

/* threads.c */
unsigned int afsync_threads_unread(const struct afsync_ring *ring);

/* here.c, without the lock */
int afsync_here_submit(struct afsync_ring *ring, const struct afsync_submit *arg, bool alone);
bool afsync_here_wanted(const struct afsync_ring *ring, const struct afsync_submit *arg);

/* check.c, without the lock */
int afsync_check_sqe(const struct afsync_sqe *sqe, struct file_id *id);
int afsync_check_fd(int fd, unsigned int flags, struct file_id *id);
int afsync_check_eventfd(int fd);
bool afsync_check_is(int fd, mode_t type, ino_t inode);

/* lock.c, without the lock; for the objects and threads see internal.h */
void afsync_lock(struct unlocked *saved);
void afsync_unlock(const struct unlocked *saved);
void afsync_relock(void);
void afsync_let_go(void);
void afsync_wait_for(pthread_cond_t *cond);
bool afsync_wait_idle(pthread_cond_t *cond);

/* team.c */
struct team *afsync_team_get(void);
int afsync_team_of(const struct afsync_ring *ring, struct team **teamp);
bool afsync_team_busy(void);
void afsync_team_wake(struct team *team);
bool afsync_team_call(struct team *team);
void afsync_team_ring_begins(void);
void afsync_team_ring_ends(void);
void afsync_team_forget(void);
void afsync_team_pin(struct afsync_ring *ring, struct team *team);
void afsync_team_unpin(struct afsync_ring *ring);

/* parcel.c */
int afsync_parcel_open(struct team *team);
void afsync_parcel_close(int fd, ino_t inode);
bool afsync_team_reachable(const struct team *team);
int afsync_parcel_send(struct team *team, struct parcel **parcels, const int *fds,
		       unsigned int nr);
void afsync_parcel_receive(struct team *team);
unsigned int afsync_parcel_room(const struct team *team);

/* table.c */
int afsync_table_make(int receive, struct copies *copies);
void afsync_table_clean(struct copies *copies);
void afsync_table_close(int fd);
int afsync_table_same(int a, int b);
bool afsync_table_same_as(pid_t tid, int fd, int ours);

/* file.c */
struct file *afsync_file_new(struct team *team, const struct file_id *id, bool syncfs);
struct file *afsync_file_find(struct team *team, const struct file_id *id, bool syncfs,
			      int fd);
bool afsync_file_has_room(const struct file *file, unsigned int room);
void afsync_file_undo(struct file *file);
void afsync_file_ready(struct file *file);
void afsync_file_claim(struct file *file);
struct file *afsync_file_take(struct team *team);
void afsync_file_done(struct file *file);
struct link *afsync_file_bucket(struct team *team, const struct file_id *id);

/* sync.c */
void afsync_sync_file(struct file *file);
bool afsync_sync_cancelled(struct team *team);
int afsync_sync_now(uint32_t op, int fd);	/* without the lock */
void afsync_complete(struct afsync_ring *ring, uint64_t user_data, int res,
		     uint32_t flags);

/* cancel.c */
int afsync_cancel_requests(struct afsync_ring *ring, struct afsync_cancel *arg);
void afsync_cancel_answer(struct team *team);

/* bell.c */
int afsync_bell_new(struct afsync_ring *ring, struct team *team, int eventfd,
		    struct bell **bellp);
void afsync_bell_drop(struct afsync_ring *ring, struct bell **bellp);
void afsync_bell_forget(const struct bell *bell);
void afsync_bell_ring(struct bell *bell, bool in_team);
void afsync_bell_clear(struct bell *bell);
int afsync_bell_fd(const struct bell *bell);
void afsync_bell_serve(struct team *team);

/* wait.c */
void afsync_notify(struct afsync_ring *ring, bool in_team);
int afsync_threads_wait(struct afsync_ring *ring, const struct afsync_wait *arg,
			bool restart);
void afsync_waiters_free(struct afsync_ring *ring);

#endif /* AFSYNC_THREADS_H */
