/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private header of the afsync command: shared declarations of its files.
 *
 * A session has a source of names (names.c, over files0.c and walk.c), an engine
 * that makes them durable (ring.c) and counts
 * of the results (stats.c), which progress.c shows. The loop that joins them is
 * in engine.c. SIGINT and SIGTERM are blocked except in waits (interrupt.c), so no code
 * here has to expect a signal anywhere else. A second thread (ticker.c) works only
 * while the first one waits for the next name.
 *
 * `afsync info` (info.c), `afsync exec` (exec.c, served.c, elf.c, exec_stats.c) and
 * `afsync top` (top.h) are separate.
 */
#ifndef AFSYNC_COMMAND_H
#define AFSYNC_COMMAND_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/afsync.h>

#define PROGRAM		"afsync"
#define DEVICE		"/dev/afsync"
#define COUNTERS	"/sys/class/misc/afsync/stats/"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * Exit status; documented in afsync(1). An interrupted run adds the signal. Those of
 * `afsync exec` differ from those of its program, as those of env(1) do.
 */
enum exit_status {
	STATUS_OK		= 0,
	STATUS_FAILED		= 1,
	STATUS_USAGE		= 2,
	STATUS_EXEC		= 125,
	STATUS_CANNOT_RUN	= 126,
	STATUS_NOT_FOUND	= 127,
	STATUS_SIGNAL		= 128,
};

struct options {
	enum afsync_op op;
	bool recursive;
	bool one_file_system;
	bool progress;		/* show it whatever stderr is, from the start */
	bool stats;
	const char *files0;	/* --files0-from, NULL without */
	char **files;		/* operands */
	size_t nr_files;
};

/* versions.c */
const char *versions_advice(const char *module, const char *library);

/* options.c */
int options_parse(struct options *opt, int argc, char **argv);
void options_try_help(const char *command);

/* stats.c */
struct stats {
	uint64_t start_ns;
	uint64_t asked;		/* requests accepted */
	uint64_t completed;	/* of those: ended, whatever the result */
	uint64_t run;		/* of those: had a sync of their own */
	uint64_t merged;	/* of those: served by the sync of another */
	uint64_t failed;
	uint64_t cancelled;
	bool keep;		/* latencies are wanted */
	uint64_t *latency;	/* of the requests that were not cancelled, in ns */
	size_t nr_latency;
	size_t max_latency;
};

uint64_t clock_ns(void);
void stats_init(struct stats *st, bool keep_latencies);
void stats_free(struct stats *st);
void stats_complete(struct stats *st, int res, bool merged, uint64_t ns);
uint64_t percentile(const uint64_t *sorted, size_t nr, unsigned int percent);
void print_ms(FILE *out, const char *label, uint64_t ns);
void stats_print(struct stats *st, FILE *out);

/* progress.c */
struct progress {
	bool on;
	bool tty;
	bool forced;
	bool shown;		/* a bar is on the last line of the terminal */
	uint64_t start_ns;
	uint64_t next_ns;	/* draw again from then on */
};

/* How far a run is; of is 0 as long as the number of names is not known. */
struct progress_state {
	uint64_t done;
	uint64_t found;
	uint64_t of;
};

void progress_init(struct progress *p, bool forced);
int progress_timeout_ms(const struct progress *p);
void progress_update(struct progress *p, const struct progress_state *state);
void progress_clear(struct progress *p);
void progress_end(struct progress *p, const struct progress_state *state);
size_t progress_format(char *buf, size_t size, unsigned int columns, uint64_t ns,
		       const struct progress_state *state);

/* interrupt.c */
void interrupt_init(void);
int interrupt_signal(void);
const sigset_t *interrupt_mask(void);

/* report.c */
/* Printed instead of a name if escape_name() has no memory. */
#define NO_NAME		"(no memory for the name)"

char *escape_name(const char *name);
__attribute__((format(printf, 1, 2)))
void complain(const char *format, ...);
void complain_name(const char *name, const char *reason);

/* names.c */
struct names;

/* A name to sync. Valid until the next call of names_next(). */
struct name {
	const char *shown;	/* for messages */
	const char *path;	/* for open(), differs from shown in a walk */
	int open_flags;
	bool below;		/* found by a walk, not named */
};

enum names_result {
	NAMES_OK,
	NAMES_END,
	NAMES_LATER,		/* nothing to read yet; poll names_fd() */
	NAMES_BAD,		/* failed: @name->shown and *error for the message */
	NAMES_EMPTY,		/* no name at the position in @name->shown */
};

struct names *names_open(const struct options *opt);
enum names_result names_next(struct names *names, struct name *name, int *error);
int names_fd(const struct names *names);
uint64_t names_count(const struct names *names);
void names_close(struct names *names);

/* files0.c */
struct files0;

struct files0 *files0_open(const char *file);
enum names_result files0_next(struct files0 *list, const char **name, int *error);
int files0_fd(const struct files0 *list);
void files0_close(struct files0 *list);

/* walk.c */
struct walk;

struct walk *walk_open(const char *top, bool one_file_system);
enum names_result walk_next(struct walk *walk, struct name *name, int *error);
void walk_close(struct walk *walk);

/* engine.c */
struct session {
	const struct options *opt;
	struct names *names;
	struct stats stats;
	struct progress progress;
	uint64_t found;		/* names so far, bad ones included; not those passed over */
	uint64_t synced;	/* of those: done */
	uint64_t failed;	/* of those: a message was printed */
	bool all_found;
	bool interrupted;	/* by a signal, before all was done */
};

/*
 * A method to sync. add() takes over @fd and reports @shown when its sync ends, at
 * once or in a later call; all of them may complain about names.
 */
struct engine {
	/* Takes a file; @below as in struct name. */
	void (*add)(struct engine *engine, int fd, const char *shown, bool below);
	/* Starts what add() collected. */
	void (*flush)(struct engine *engine);
	/* Waits until @fd is readable, something ended or a signal came. */
	void (*wait)(struct engine *engine, int fd);
	/* Waits for all requests; a signal cancels those that do not run yet. */
	void (*finish)(struct engine *engine);
	void (*destroy)(struct engine *engine);
	struct session *session;
};

int session_run(struct session *s);
void session_complain(struct session *s, const char *name, int error);
void session_complete(struct session *s, const char *name, int res, bool merged,
		      uint64_t ns);
void session_progress(struct session *s);
bool session_pass_over(struct session *s, bool below, int error);
int sync_plainly(enum afsync_op op, int fd, bool *unsupported);

/* ticker.c */
void ticker_start(struct engine *engine);
void ticker_on(void);
void ticker_off(void);
void ticker_end(void);

/* ring.c */
struct engine *ring_engine(struct session *s, int *error);

/* probe.c */
bool probe_done(enum afsync_op op, int fd, int *res, bool *unsupported);
void probe_forget(void);

/* info.c */
int read_counter(const char *name, uint64_t *value);
int info_main(int argc, char **argv);

/* elf.c */
struct elf_facts {
	unsigned char class;		/* ELFCLASS* */
	unsigned char data;		/* ELFDATA* */
	uint16_t machine;		/* EM_* */
	bool native;			/* class and data are ours; else that is all */
	bool has_interpreter;
	char interpreter[PATH_MAX];	/* the dynamic linker */
	const char *sanitizer;		/* its name, NULL without */
};

bool elf_read(int fd, struct elf_facts *facts);

/* served.c */
#define WHY_SIZE	(PATH_MAX + 64)

enum served {
	SERVED,
	SERVED_CHILDREN,	/* not itself, but the programs that it starts can be */
	SERVED_NOT,		/* and must not see LD_PRELOAD */
};

enum served program_served(const char *program, const char *library, char *path, char *why);

/* exec.c */
int exec_main(int argc, char **argv);
int exec_failed(const char *program, int error);

/* exec_stats.c */
int exec_with_stats(char **argv, const char *name);

#endif /* AFSYNC_COMMAND_H */
