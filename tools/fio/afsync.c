// SPDX-License-Identifier: GPL-2.0-only
/*
 * fio's engine for libafsync: syncs are queued, reads and writes are synchronous.
 *
 * A read or a write is a pread() or a pwrite() in ->queue(), so a write has completed
 * before the sync that fio issues after it is prepared, and is covered by it. Syncs are
 * prepared in ->queue(), submitted as one array in ->commit(), and reaped in
 * ->getevents().
 *
 * A trim is refused. The option engine= chooses the device or threads of the library for the
 * syncs. README.md is for users.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fio.h>
#include <optgroup.h>

#include <libafsync.h>

struct engine_options {
	void *pad;		/* fio treats an option at offset 0 as none */
	unsigned int engine;
};

static struct fio_option engine_options[] = {
	{
		.name	= "engine",
		.lname	= "Engine for the syncs",
		.type	= FIO_OPT_STR,
		.off1	= offsetof(struct engine_options, engine),
		.help	= "Engine for the syncs",
		.def	= "auto",
		.posval	= {
			{ .ival = "auto", .oval = 0,
			  .help = "The device if it can be opened, else threads" },
			{ .ival = "device", .oval = AFSYNC_INIT_DEVICE,
			  .help = "The device; no job without it" },
			{ .ival = "threads", .oval = AFSYNC_INIT_THREADS,
			  .help = "Threads of the library" },
		},
		.category = FIO_OPT_C_ENGINE,
		.group	= FIO_OPT_G_INVALID,
	},
	{ .name = NULL },
};

/* The state of one job. */
struct engine_job {
	struct afsync_ring *ring;
	struct io_u **events;	/* the completions that ->getevents() has returned */
	struct io_u **refused;	/* refused by the library, and not returned yet */
	unsigned int refused_nr;
};

/* The range of a file written since its last sync of a range; end is 0 if there is none. */
struct engine_range {
	uint64_t begin;
	uint64_t end;
};

static void fail(struct thread_data *td, struct io_u *io_u, int err)
{
	io_u->error = err;
	io_u_log_error(td, io_u);
	/* fio does not check io_u->error of a queued sync. */
	td_verror(td, err, "afsync");
}

static void written(struct io_u *io_u, ssize_t bytes)
{
	struct engine_range *range = FILE_ENG_DATA(io_u->file);
	uint64_t end = io_u->offset + bytes;

	if (!range->end || io_u->offset < range->begin)
		range->begin = io_u->offset;
	if (end > range->end)
		range->end = end;
}

static enum fio_q_status transfer(struct thread_data *td, struct io_u *io_u)
{
	struct fio_file *f = io_u->file;
	ssize_t ret;

	if (io_u->ddir == DDIR_READ)
		ret = pread(f->fd, io_u->xfer_buf, io_u->xfer_buflen, io_u->offset);
	else
		ret = pwrite(f->fd, io_u->xfer_buf, io_u->xfer_buflen, io_u->offset);

	if (ret < 0) {
		fail(td, io_u, errno);
	} else {
		io_u->resid = io_u->xfer_buflen - ret;
		if (io_u->ddir == DDIR_WRITE)
			written(io_u, ret);
	}
	/* fio counts these only for an engine without ->commit(). */
	io_u_mark_submit(td, 1);
	io_u_mark_complete(td, 1);
	return FIO_Q_COMPLETED;
}

static enum fio_q_status prepare_sync(struct thread_data *td, struct io_u *io_u)
{
	struct engine_job *job = td->io_ops_data;
	struct engine_range *range = FILE_ENG_DATA(io_u->file);
	int fd = io_u->file->fd;
	struct afsync_sqe *sqe;

	sqe = afsync_get_sqe(job->ring);
	if (!sqe)
		return FIO_Q_BUSY;
	if (io_u->ddir == DDIR_SYNC) {
		afsync_prep_fsync(sqe, fd);
	} else if (io_u->ddir == DDIR_DATASYNC) {
		afsync_prep_fdatasync(sqe, fd);
	} else {
		/* Not fio's range: fio forgets writes made while a sync is in flight. */
		afsync_prep_fdatasync_range(sqe, fd, range->begin, range->end - range->begin);
		range->end = 0;
	}
	afsync_sqe_set_data(sqe, io_u);
	/*
	 * fio issues a sync after every N writes unless the last operation that ended was
	 * one. A queued one has to count, too: otherwise fio would fill the queue with more
	 * of them.
	 */
	td->last_was_sync = true;
	return FIO_Q_QUEUED;
}

static enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u)
{
	fio_ro_check(td, io_u);
	if (fio_fill_issue_time(td)) {
		fio_gettime(&io_u->issue_time, NULL);
		if (td->o.read_iolog_file)
			td->last_issue = io_u->issue_time;
	}
	if (ddir_sync(io_u->ddir))
		return prepare_sync(td, io_u);
	if (io_u->ddir == DDIR_READ || io_u->ddir == DDIR_WRITE)
		return transfer(td, io_u);
	fail(td, io_u, EOPNOTSUPP);
	return FIO_Q_COMPLETED;
}

/* The first request is refused: it ends with that error, and the others continue. */
static void refuse(struct thread_data *td, int err)
{
	struct engine_job *job = td->io_ops_data;
	struct afsync_sqe sqe;
	struct io_u *io_u;

	afsync_sq_drop(job->ring, &sqe, sizeof(sqe));
	io_u = (struct io_u *)(uintptr_t)sqe.user_data;
	fail(td, io_u, err);
	job->refused[job->refused_nr++] = io_u;
}

static int engine_commit(struct thread_data *td)
{
	struct engine_job *job = td->io_ops_data;
	int ret;

	while (afsync_sq_ready(job->ring)) {
		ret = afsync_submit(job->ring);
		if (ret > 0)
			io_u_mark_submit(td, ret);
		else
			refuse(td, -ret);
	}
	return 0;
}

/* reap: up to @max of the ended requests. */
static unsigned int reap(struct thread_data *td, unsigned int count, unsigned int max)
{
	struct engine_job *job = td->io_ops_data;
	struct afsync_cqe *cqe;
	struct io_u *io_u;

	while (count < max && job->refused_nr)
		job->events[count++] = job->refused[--job->refused_nr];
	while (count < max && !afsync_peek_cqe(job->ring, &cqe)) {
		io_u = afsync_cqe_get_data(cqe);
		/* The others failed before, otherwise they would not have been cancelled. */
		if (cqe->res == -ECANCELED)
			io_u->error = ECANCELED;
		else if (cqe->res)
			fail(td, io_u, -cqe->res);
		job->events[count++] = io_u;
		afsync_cqe_seen(job->ring, cqe);
	}
	return count;
}

/* fio sets a time only if it does not wait. */
static int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max,
			    const struct timespec *t)
{
	struct engine_job *job = td->io_ops_data;
	struct afsync_cqe *cqe;
	unsigned int count;
	int ret;

	(void)t;
	count = reap(td, 0, max);
	while (count < min) {
		ret = afsync_wait_cqes(job->ring, &cqe, min - count, NULL, NULL);
		if (ret && ret != -EINTR)
			return ret;
		count = reap(td, count, max);
	}
	return count;
}

static struct io_u *engine_event(struct thread_data *td, int event)
{
	struct engine_job *job = td->io_ops_data;

	return job->events[event];
}

/* Cancelled or already running, it ends in the ring: it is not returned here. */
static int engine_cancel(struct thread_data *td, struct io_u *io_u)
{
	struct engine_job *job = td->io_ops_data;

	afsync_cancel(job->ring, (uintptr_t)io_u);
	return 1;
}

static int engine_open_file(struct thread_data *td, struct fio_file *f)
{
	struct engine_range *range = calloc(1, sizeof(*range));

	if (!range) {
		td_verror(td, ENOMEM, "afsync");
		return 1;
	}
	if (generic_open_file(td, f)) {
		free(range);
		return 1;
	}
	FILE_SET_ENG_DATA(f, range);
	return 0;
}

static int engine_close_file(struct thread_data *td, struct fio_file *f)
{
	free(FILE_ENG_DATA(f));
	FILE_SET_ENG_DATA(f, NULL);
	return generic_close_file(td, f);
}

static void engine_cleanup(struct thread_data *td)
{
	struct engine_job *job = td->io_ops_data;

	if (!job)
		return;
	afsync_queue_exit(job->ring);
	free(job->refused);
	free(job->events);
	free(job);
	td->io_ops_data = NULL;
}

struct ioengine_ops ioengine;

/*
 * fio's structs differ from version to version, and the number that fio compares itself may
 * not.
 */
static bool fits(const struct thread_data *td)
{
	if (td->io_ops == &ioengine && !strcmp(fio_version_string, FIO_VERSION))
		return true;
	log_err("afsync: this is %s, and the engine was built for %s of Debian\n",
		fio_version_string, FIO_VERSION);
	return false;
}

static int engine_init(struct thread_data *td)
{
	struct engine_options *o = td->eo;
	struct engine_job *job;
	int ret;

	if (!fits(td))
		return EINVAL;
	if (td_trim(td)) {
		log_err("afsync: rw=%s: this engine has no trims\n", ddir_str(td->o.td_ddir));
		return EOPNOTSUPP;
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		return ENOMEM;
	td->io_ops_data = job;
	job->events = calloc(td->o.iodepth, sizeof(*job->events));
	job->refused = calloc(td->o.iodepth, sizeof(*job->refused));
	if (!job->events || !job->refused)
		return ENOMEM;
	ret = afsync_queue_init(td->o.iodepth, &job->ring, o->engine);
	if (ret)
		log_err("afsync: no ring of %u entries: %s\n", td->o.iodepth, strerror(-ret));
	return -ret;
}

struct ioengine_ops ioengine = {
	.name		= "afsync",
	.version	= FIO_IOOPS_VERSION,
	.flags		= FIO_ASYNCIO_SETS_ISSUE_TIME,
	.init		= engine_init,
	.queue		= engine_queue,
	.commit		= engine_commit,
	.getevents	= engine_getevents,
	.event		= engine_event,
	.cancel		= engine_cancel,
	.cleanup	= engine_cleanup,
	.open_file	= engine_open_file,
	.close_file	= engine_close_file,
	.get_file_size	= generic_get_file_size,
	.options	= engine_options,
	.option_struct_size = sizeof(struct engine_options),
};
