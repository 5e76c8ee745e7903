// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Queues of requests: one for each open file, in the order of the submits, which one thread
 * at a time serves. The ready queues of a filesystem are in its lane, and
 * the lane has a limit, so that a hung filesystem takes no more threads than that.
 *
 * Where neither fcntl(2) nor kcmp(2) can compare two open files,
 * they are not merged, and the files of one inode are served one after the other,
 * which still keeps the order.
 */
#include "threads.h"

static struct lane *lane_get(struct team *team, uint64_t id)
{
	struct lane *lane;
	struct link *l;

	for (l = team->all_lanes.next; l != &team->all_lanes; l = l->next) {
		lane = element(l, struct lane, link);
		if (lane->id == id) {
			lane->refs++;
			return lane;
		}
	}
	lane = afsync_object_new(sizeof(*lane));
	if (!lane)
		return NULL;
	lane->id = id;
	lane->refs = 1;
	link_init(&lane->ready);
	link_init(&lane->files);
	link_add(&team->all_lanes, &lane->link);
	return lane;
}

static void lane_put(struct lane *lane)
{
	if (--lane->refs)
		return;
	link_del(&lane->ready);
	link_del(&lane->link);
	afsync_object_free(lane, sizeof(*lane));
}

/* It is in team->lanes if it has work that may start. */
static void lane_update(struct team *team, struct lane *lane)
{
	bool ready = !link_empty(&lane->files) && lane->running < THREADS_PER_FS;

	link_del(&lane->ready);
	if (ready)
		link_add(&team->lanes, &lane->ready);
}

struct link *afsync_file_bucket(struct team *team, const struct file_id *id)
{
	return &team->files[(id->inode ^ id->inode >> 8 ^ id->dev) % FILE_BUCKETS];
}

static bool same_id(const struct file *a, const struct file *b)
{
	return same_inode(&a->id, &b->id) && a->syncfs == b->syncfs;
}

/* The queue is ready if it has waiting requests, and nothing that they wait for. */
void afsync_file_ready(struct file *file)
{
	if (!file->arrived || file->running || file->behind ||
	    link_empty(&file->waiting) || !link_empty(&file->ready))
		return;
	link_add(&file->lane->files, &file->ready);
	lane_update(file->team, file->lane);
}

/* Those of @list that are for @from are for @to. */
static void requests_rename(struct file *to, const struct file *from, struct link *list)
{
	struct request *req;
	struct link *l;

	for (l = list->next; l != list; l = l->next) {
		req = element(l, struct request, link);
		if (req->file == from)
			req->file = to;
	}
}

static void requests_move(struct file *to, const struct file *old, struct link *to_list,
			  struct link *from)
{
	requests_rename(to, old, from);
	link_move_all(to_list, from);
}

/* @file has arrived and is @old once more. */
static void merge(struct file *old, struct file *file)
{
	requests_move(old, file, &old->waiting, &file->waiting);
	requests_move(old, file, &old->held, &file->held);
	requests_rename(old, file, &old->team->cancelled);
	requests_rename(old, file, &old->team->started);
	old->refs += file->refs;
	link_add(&old->extras, &file->link);
	afsync_file_ready(old);
}

/* Does the queue have running or waiting requests? Held ones do not count. */
static bool busy(const struct file *file)
{
	return file->running || file->closing || !link_empty(&file->waiting);
}

/* 1: the same open file, 0: another one, -1: unknown. */
static int compare(const struct file *old, const struct file *file)
{
	if (old->closing || old->parcel.fd < 0 || file->parcel.fd < 0)
		return -1;
	return afsync_table_same(old->parcel.fd, file->parcel.fd);
}

/* Is there an older one that may be the same open file, and comes first? */
static bool is_behind(const struct file *file)
{
	const struct link *bucket = afsync_file_bucket(file->team, &file->id), *l;
	const struct file *old;

	for (l = bucket->next; l != &file->link; l = l->next) {
		old = element(l, struct file, link);
		if (same_id(old, file) && busy(old) && compare(old, file) < 0)
			return true;
	}
	return false;
}

static void arrived(struct parcel *parcel)
{
	struct file *file = element(parcel, struct file, parcel), *old;
	struct link *bucket = afsync_file_bucket(file->team, &file->id), *l;

	for (l = bucket->next; l != bucket; l = l->next) {
		old = element(l, struct file, link);
		if (same_id(old, file) && compare(old, file) > 0) {
			merge(old, file);
			return;
		}
	}
	file->arrived = true;
	link_add(bucket, &file->link);
	file->behind = is_behind(file);
	afsync_file_ready(file);
}

/*
 * The existing queue of the open file of a program's descriptor, or NULL: then the
 * descriptor is sent. NULL also while others are being sent, which come first.
 */
struct file *afsync_file_find(struct team *team, const struct file_id *id, bool syncfs, int fd)
{
	struct link *bucket = afsync_file_bucket(team, id), *l;
	struct file *file;

	if (!link_empty(&team->sent) || !team->tid)
		return NULL;
	for (l = bucket->next; l != bucket; l = l->next) {
		file = element(l, struct file, link);
		if (file->syncfs == syncfs && same_inode(&file->id, id) && !file->closing &&
		    afsync_table_same_as(team->tid, file->parcel.fd, fd))
			return file;
	}
	return NULL;
}

/*
 * May a filesystem have one more file in the table, which has room for @room? It gets no more
 * than it leaves to others, so that a hung one does not stop them.
 */
bool afsync_file_has_room(const struct file *file, unsigned int room)
{
	return file->lane->refs <= room;
}

/* A queue for a descriptor that is about to be sent; NULL if there is no memory. */
struct file *afsync_file_new(struct team *team, const struct file_id *id, bool syncfs)
{
	struct file *file = afsync_object_new(sizeof(*file));

	if (!file)
		return NULL;
	file->lane = lane_get(team, id->lane);
	if (!file->lane) {
		afsync_object_free(file, sizeof(*file));
		return NULL;
	}
	file->parcel.fd = -1;
	file->parcel.arrived = arrived;
	link_init(&file->parcel.sent);
	link_init(&file->link);
	link_init(&file->ready);
	link_init(&file->waiting);
	link_init(&file->held);
	link_init(&file->extras);
	file->team = team;
	file->id = *id;
	file->syncfs = syncfs;
	return file;
}

/* One that was not sent, or that is an extra: nothing refers to it any more. */
void afsync_file_undo(struct file *file)
{
	lane_put(file->lane);
	afsync_object_free(file, sizeof(*file));
}

/* The queue is the calling thread's until afsync_file_done(). */
void afsync_file_claim(struct file *file)
{
	link_del(&file->ready);
	file->running = true;
	file->lane->running++;
	/* The other lanes come first now. */
	lane_update(file->team, file->lane);
}

/* The next queue that a thread is to serve, or NULL. It is claimed. */
struct file *afsync_file_take(struct team *team)
{
	struct lane *lane;
	struct file *file;

	if (link_empty(&team->lanes))
		return NULL;
	lane = element(team->lanes.next, struct lane, ready);
	file = element(lane->files.next, struct file, ready);
	afsync_file_claim(file);
	if (!link_empty(&team->lanes))
		afsync_team_wake(team);
	return file;
}

/* Those that could not be compared with @file need not be behind it any more. */
static void let_next(const struct file *file)
{
	struct link *bucket = afsync_file_bucket(file->team, &file->id), *l;
	struct file *next;

	for (l = bucket->next; l != bucket; l = l->next) {
		next = element(l, struct file, link);
		if (!next->behind || !same_id(next, file) || is_behind(next))
			continue;
		next->behind = false;
		afsync_file_ready(next);
	}
}

/* The thread that took the queue has served it. Without requests the queue is freed. */
void afsync_file_done(struct file *file)
{
	struct lane *lane = file->lane;
	struct team *team = file->team;

	lane->running--;
	file->running = false;
	lane_update(team, lane);
	if (file->refs) {
		afsync_file_ready(file);
		let_next(file);
		return;
	}
	link_del(&file->ready);
	link_del(&file->link);
	let_next(file);
	team->kept--;
	afsync_file_undo(file);
}
