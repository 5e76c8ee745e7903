/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared declarations of the files of afsync-bench.
 *
 * The parent (main.c) makes the files (files.c) and one child per process of the run
 * (children.c). Each child sets its engine up, runs operations until it is warm, and
 * waits. Then the clock starts (clock.c), all children run, and the last child to finish
 * stops the clock.
 *
 * An operation is: write one record, make it durable, see that it is. Each engine, in a
 * file of its own, has its method to make it durable.
 */
#ifndef AFSYNC_BENCH_H
#define AFSYNC_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workload {
	OVERWRITE,	/* 4 KiB over existing data, fdatasync */
	APPEND,		/* 4 KiB at the end, fsync: allocation and journal */
	LOG,		/* a short record at the end of one log, fdatasync */
	TREE,		/* small files, written and closed: open, fsync, close each */
};

/* The parameters of a run; the same in all children. */
struct plan {
	const char *workload_name;
	enum workload workload;
	const struct engine *engine;
	const char *dir;
	const char *label;	/* names for the result: of the engine ... */
	const char *filesystem;
	const char *device;
	const char *disk;	/* its name in /sys/block, or NULL */
	unsigned int files;
	unsigned int depth;	/* of each process */
	unsigned int processes;
	uint64_t ops;		/* of all processes */
	uint64_t warm;		/* operations of a round of warming up, see children.c */
	bool same_blocks;	/* writers of one file rewrite each other's blocks */
	bool brief;		/* processes that live briefly: the clock sees their set-up */
	bool latency;		/* take the time of each operation */
	bool histogram;
	bool datasync;
	size_t record;		/* bytes written by an operation */
	unsigned int blocks;	/* records in a file that is overwritten */
	int *fds;		/* one per file, not for a tree */
};

/* The figures of a run. */
struct figures {
	uint64_t start_ns, end_ns;
	uint64_t idle_ns;	/* of all CPUs together */
	uint64_t flushes;
	uint64_t switches;
	uint64_t afsync_syncs;
};

/* Shared by parent and children. */
struct shared {
	_Atomic uint32_t ready;		/* children that wait for the start */
	_Atomic uint32_t go;
	_Atomic uint32_t running;	/* children that have not finished */
	_Atomic uint32_t done;
	_Atomic uint64_t syncs;
	struct figures figures;
	uint32_t latency[];		/* ns of each operation; plan.ops of them */
};

/* One child. */
struct worker {
	const struct plan *plan;
	unsigned int process;
	uint64_t offset;	/* number of the first operation of this run() */
	uint32_t *latency;	/* of the operations of this run(), or NULL */
	uint64_t syncs;		/* how often the filesystem was asked to sync */
	void *private;		/* the engine's */
};

/* An operation that has not ended. */
struct slot {
	uint64_t op;
	uint64_t start_ns;
	int fd;
	unsigned int file;	/* number of the file, not for a tree */
	unsigned int index;	/* of this slot, below the depth */
	bool writer;		/* a thread of its own writes in this slot */
	uint64_t count;		/* the number of bytes it has written */
};

/**
 * struct engine - a method to make operations durable
 * @name: as on the command line and in the result
 * @setup: starts the engine; before the clock, unless processes are brief
 * @run: run the operations 0 to @nr - 1 of this run, plan->depth at a time
 * @finish: after the clock
 */
struct engine {
	const char *name;
	void (*setup)(struct worker *w);
	void (*run)(struct worker *w, uint64_t nr);
	void (*finish)(struct worker *w);
};

extern const struct engine engine_fdatasync, engine_by_hand, engine_threads,
	engine_io_uring, engine_io_uring_default, engine_io_uring_all, engine_libaio,
	engine_glibc, engine_afsync, engine_afsync_queued, engine_afsync_threads, engine_sync,
	engine_syncfs;

/* children.c */
void run_children(const struct plan *plan, struct shared *shared);

/* clock.c */
uint64_t now_ns(void);
void clock_start(const struct plan *plan, struct figures *figures);
void clock_stop(const struct plan *plan, struct figures *figures);

/* files.c */
void make_files(struct plan *plan);
void remove_files(const struct plan *plan);
void tree_path(const struct plan *plan, uint64_t n, char path[static 512]);
/* Start operation @op of this run: write the record, or open the file of the tree. */
void op_begin(struct worker *w, struct slot *slot, uint64_t op);
/* The operation of the slot is durable, with @result 0 or -errno, as of @end_ns. */
void op_end(struct worker *w, struct slot *slot, int result, uint64_t end_ns);
/* The time, if this run takes times. */
uint64_t op_time(const struct worker *w);
/* fsync or fdatasync, as the workload says; 0 or -errno. */
int op_sync(const struct plan *plan, int fd);

/* result.c */
void print_result(const struct plan *plan, struct shared *shared);

/* die("what", errno): print and exit. */
_Noreturn void die(const char *what, int error);
void *alloc(size_t nr, size_t size);

#endif /* AFSYNC_BENCH_H */
