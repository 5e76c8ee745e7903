/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the tests of libafsync-libaio share.
 *
 * Each test is an ordinary program of libaio: compiled with libaio.h, linked with -laio.
 * preload.h starts it again under the drop-in. With AFSYNC_PEER=1 in the environment it
 * stays with libaio and the kernel's own AIO, which shows how the tests fail there.
 *
 * Two stages:
 *
 *	aio_stage	a file of afsync_sim, whose sync stops at a gate
 *	aio_lanes	a file (or a block device) of which two parts lie on devices of
 *			their own. If one is suspended, its direct reads and writes stay
 *			in flight, while a sync of the file has all that it needs.
 *
 * A comment "libaio: ..." quotes the sentence of io_fsync(3) that the test checks.
 */
#ifndef _AFSYNC_SELFTEST_AIO_COMMON_H
#define _AFSYNC_SELFTEST_AIO_COMMON_H

#include "fs_rig.h"

#include <libaio.h>

#define PRELOAD_LIBRARY	"libafsync-libaio.so.1"
#include "preload.h"

/* --- requests --- */

static inline void prep_sync(struct iocb *iocb, int fd, bool datasync)
{
	if (datasync)
		io_prep_fdsync(iocb, fd);
	else
		io_prep_fsync(iocb, fd);
}

static inline int submit_one(io_context_t ctx, struct iocb *iocb)
{
	return io_submit(ctx, 1, &iocb);
}

/* Queues a sync: 1 or -errno. */
static inline int submit_sync(io_context_t ctx, struct iocb *iocb, int fd, bool datasync)
{
	prep_sync(iocb, fd, datasync);
	return submit_one(ctx, iocb);
}

/* A context: memory that the kernel maps and shares, as programs know it. */
struct aio_ring {
	unsigned int id;
	unsigned int nr;	/* of entries */
	unsigned int head;
	unsigned int tail;
	unsigned int magic;
	unsigned int compat_features;
	unsigned int incompat_features;
	unsigned int header_length;
	struct io_event events[];
};

#define AIO_RING_MAGIC	0xa10a10a1U

/* Unread events. */
static inline unsigned int events_ready(io_context_t ctx)
{
	const struct aio_ring *ring = (void *)ctx;
	/* pairs with the kernel's write of tail, after the event */
	unsigned int tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	return (tail + ring->nr - ring->head) % ring->nr;
}

/* Takes the next event, which is there, without a system call, as some programs do. */
static inline struct io_event event_reap(io_context_t ctx)
{
	struct aio_ring *ring = (void *)ctx;
	struct io_event event;

	need(ring->magic == AIO_RING_MAGIC && events_ready(ctx));
	event = ring->events[ring->head];
	/* pairs with the kernel's read of head: the slot is free after the copy */
	__atomic_store_n(&ring->head, (ring->head + 1) % ring->nr, __ATOMIC_RELEASE);
	return event;
}

/* Takes the available events, without waiting. */
static inline int events_now(io_context_t ctx, struct io_event *events, long max)
{
	struct timespec zero = { 0, 0 };

	return io_getevents(ctx, 0, max, events, &zero);
}

/* Waits for exactly count events. */
static inline void events_wait(io_context_t ctx, struct io_event *events, long count)
{
	long ret;

	for (; count; count -= ret, events += ret) {
		ret = io_getevents(ctx, 1, count, events, NULL);
		if (ret == -EINTR)
			ret = 0;
		need(ret >= 0);
	}
}

static inline struct io_event event_next(io_context_t ctx)
{
	struct io_event event;

	events_wait(ctx, &event, 1);
	return event;
}

/*
 * Gives an unwanted event time to happen: that many syncs of another file are queued, in
 * another context, and end.
 */
static inline void others_sync(int fd, int count)
{
	io_context_t ctx = NULL;
	struct iocb iocb;

	need(io_setup(1, &ctx) == 0);
	while (count--) {
		need(pwrite(fd, "other", 5, 0) == 5);
		need(submit_sync(ctx, &iocb, fd, false) == 1);
		need(event_next(ctx).res == 0);
	}
	need(io_destroy(ctx) == 0);
}

/* --- the guard --- */

/*
 * A process that dies waits for its AIO contexts before it closes its files, so it would
 * never release a sync that it holds. A second process releases it: it waits for a lock
 * that a dying thread gives up first.
 */
struct aio_guard {
	pthread_mutex_t lock;
	pid_t pid;
};

static inline struct aio_guard *aio_guard_start(int ctl)
{
	struct aio_guard *aio_guard;
	pthread_mutexattr_t attr;
	__u32 gate;
	pid_t pid;

	aio_guard = mmap(NULL, sizeof(*aio_guard), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(aio_guard != MAP_FAILED);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	need(pthread_mutex_init(&aio_guard->lock, &attr) == 0);
	need(pthread_mutex_lock(&aio_guard->lock) == 0);
	pid = fork();
	need(pid >= 0);
	if (pid) {
		aio_guard->pid = pid;
		return aio_guard;
	}

	setsid();
	if (ctl > 3)
		syscall(SYS_close_range, 3, ctl - 1, 0);
	syscall(SYS_close_range, ctl < 3 ? 3 : ctl + 1, ~0U, 0);
	if (pthread_mutex_lock(&aio_guard->lock) == EOWNERDEAD) {
		for (gate = 0; ctl >= 0 && gate < SIM_NR_GATES; gate++)
			sim_gate_cmd(ctl, SIM_IOC_RELEASE, gate, 0, 0);
		if (guard)
			guard_resume_all();
	}
	_exit(0);
}

static inline void aio_guard_end(struct aio_guard *aio_guard)
{
	need(pthread_mutex_unlock(&aio_guard->lock) == 0);
	need(child_wait(aio_guard->pid) == 0);
}

/* --- a file of afsync_sim --- */

struct aio_stage {
	struct world world;
	struct aio_guard *guard;
	io_context_t ctx;
	int ctl;	/* for the commands of the test filesystem */
	int file;
	int other;	/* another file */
};

static inline void aio_stage_open(struct aio_stage *s, int events)
{
	s->ctl = world_open(&s->world, "file", O_RDONLY);
	s->guard = aio_guard_start(s->ctl);
	s->file = world_open(&s->world, "file", O_RDWR);
	s->other = world_open(&s->world, "other", O_RDWR);
	s->ctx = NULL;
	need(io_setup(events, &s->ctx) == 0);
}

/* In FIXTURE_SETUP */
#define AIO_STAGE_SETUP(s, events) do {					\
	memset(s, 0, sizeof(*(s)));					\
	WORLD_SETUP(&(s)->world, "afsync_sim");				\
	aio_stage_open(s, events);					\
} while (0)

static inline void aio_stage_close(struct aio_stage *s)
{
	__u32 gate;

	for (gate = 0; gate < SIM_NR_GATES; gate++)
		sim_let_go(s->ctl, gate);
	if (s->ctx)
		need(io_destroy(s->ctx) == 0);
	if (s->file >= 0)
		close(s->file);
	close(s->other);
	close(s->ctl);
	aio_guard_end(s->guard);
	/* Kernel AIO drops the file only after its event can be seen. */
	if (preload_peer())
		umount2(s->world.dir, MNT_DETACH);
	else
		world_unmount(&s->world);
}

/* --- a file with direct I/O in flight --- */

#define LANES		2
#define LANE_PAGES	((RIG_PAGES - RIG_BAD) / LANES)
#define LANE_FREE	0		/* a page that is always written at once */
/* The first page of a lane. */
#define LANE(n)		(RIG_BAD + (n) * LANE_PAGES)

/* In place of a filesystem: the device itself is the file. */
#define FS_NONE		FS_COUNT

struct aio_lanes {
	struct rig rig;
	struct dmdev inner[LANES];
	struct aio_guard *guard;
	io_context_t ctx;
	char *pages;	/* one for each page of the file */
	int direct;	/* O_DIRECT */
	int buffered;
	int other;	/* another file, of the same filesystem if there is one */
};

/* Like rig_up() and rig_make_file(), without a filesystem. */
static inline void lanes_device(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->id = FS_NONE;
	r->sectors = RIG_PAGES * PAGE / SECTOR;
	need(memdev_open(&r->disk, image_new(RIG_PAGES * PAGE)) == 0);
	r->whole = dm_linear(r->disk.path, r->sectors);
	need(dm_create(&r->dm, "lanes", &r->whole) == 0);
	strcpy(r->file, r->dm.path);
	dm_add(&r->broken, 0, RIG_BAD * PAGE / SECTOR, "linear", "%s 0", r->disk.path);
	dm_add(&r->broken, RIG_BAD * PAGE / SECTOR, (RIG_PAGES - RIG_BAD) * PAGE / SECTOR,
	       "error", "%s", "");
}

/* Puts the second half of the file on two devices of their own. */
static inline void lanes_split(struct aio_lanes *l)
{
	const struct dm_table *broken = &l->rig.broken;
	uint64_t start = broken->lines[1].start, length = broken->lines[1].length / LANES;
	struct dm_table outer = { 0 }, inner;
	char path[64];
	int i;

	dm_add(&outer, 0, start, "linear", "%s 0", l->rig.disk.path);
	for (i = 0; i < LANES; i++) {
		memset(&inner, 0, sizeof(inner));
		dm_add(&inner, 0, length, "linear", "%s %llu", l->rig.disk.path,
		       (unsigned long long)(start + i * length));
		need(dm_create(&l->inner[i], i ? "lane1" : "lane0", &inner) == 0);
		dm_add(&outer, start + i * length, length, "linear", "%s 0",
		       l->inner[i].path);
	}
	start += LANES * length;
	dm_add(&outer, start, l->rig.sectors - start, "linear", "%s %llu",
	       l->rig.disk.path, (unsigned long long)start);
	rig_table(&l->rig, &outer);
	for (i = 0; i < LANES; i++)
		dm_remove_when_unused(&l->inner[i]);
	/* otherwise the flush that belongs to a sync would wait for the suspended device */
	snprintf(path, sizeof(path), "/sys/block/%s/queue/write_cache",
		 l->rig.dm.path + strlen("/dev/"));
	need(text_write(path, "write through") == 0);
}

static inline void lanes_open(struct aio_lanes *l, enum fs_id id)
{
	char path[80];

	own_world();
	if (id == FS_NONE) {
		lanes_device(&l->rig);
		l->other = image_new(PAGE);
	} else {
		rig_up(&l->rig, id, "lanes");
		rig_make_file(&l->rig);
		snprintf(path, sizeof(path), "%s/other", l->rig.dir);
		l->other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	}
	need(l->other >= 0);
	others_sync(l->other, 1);
	lanes_split(l);
	l->guard = aio_guard_start(-1);
	l->direct = open(l->rig.file, O_RDWR | O_DIRECT | O_CLOEXEC);
	need(l->direct >= 0);
	l->buffered = rig_open(&l->rig);
	need(posix_memalign((void **)&l->pages, PAGE, RIG_PAGES * PAGE) == 0);
	memset(l->pages, 'x', RIG_PAGES * PAGE);
	need(io_setup(64, &l->ctx) == 0);
}

/* In FIXTURE_SETUP */
#define AIO_LANES_SETUP(l, id) do {					\
	if ((id) != FS_NONE)						\
		FS_OR_SKIP(id);						\
	if (geteuid())							\
		SKIP(exit(255), "needs root for devices");		\
	memset(l, 0, sizeof(*(l)));					\
	lanes_open(l, id);						\
} while (0)

static inline void lane_stop(struct aio_lanes *l, int lane)
{
	need(dm_suspend(&l->inner[lane]) == 0);
}

static inline void lane_go(struct aio_lanes *l, int lane)
{
	if (l->inner[lane].suspended)
		need(dm_resume(&l->inner[lane]) == 0);
}

static inline void lanes_close(struct aio_lanes *l)
{
	int i;

	for (i = 0; i < LANES; i++)
		lane_go(l, i);
	if (l->ctx)
		need(io_destroy(l->ctx) == 0);
	if (l->direct >= 0)
		close(l->direct);
	close(l->buffered);
	close(l->other);
	aio_guard_end(l->guard);
	/* Kernel AIO drops the file only after the event of a read or write can be seen. */
	while (l->rig.id != FS_NONE && umount(l->rig.dir)) {
		need(errno == EBUSY);
		poll(NULL, 0, 1);
	}
	dm_gone(&l->rig.dm);
	memdev_close(&l->rig.disk);
	for (i = 0; i < LANES; i++)
		dm_gone(&l->inner[i]);
	free(l->pages);
}

static inline void prep_page_write(struct aio_lanes *l, struct iocb *iocb, int fd,
				   int page)
{
	io_prep_pwrite(iocb, fd, l->pages + page * PAGE, PAGE, page * PAGE);
}

/* Starts a direct write of a page of the file; one of a stopped lane stays in flight. */
static inline void write_begin(struct aio_lanes *l, struct iocb *iocb, int page)
{
	prep_page_write(l, iocb, l->direct, page);
	need(submit_one(l->ctx, iocb) == 1);
}

static inline void read_begin(struct aio_lanes *l, struct iocb *iocb, int page)
{
	io_prep_pread(iocb, l->direct, l->pages + page * PAGE, PAGE, page * PAGE);
	need(submit_one(l->ctx, iocb) == 1);
}

#endif /* _AFSYNC_SELFTEST_AIO_COMMON_H */
