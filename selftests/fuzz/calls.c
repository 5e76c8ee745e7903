// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of calls with their weights, and the choice among them.
 */
#include "world.h"
#include "calls.h"

/* @alone: not in a child, which has no files and processes of its own to use */
static const struct kind {
	const char *name;
	unsigned int weight;
	bool alone;
	void (*make)(struct world *w);
} kinds[] = {
	{ "submit",		2400, false, call_submit },
	{ "reap",		1400, false, call_reap },
	{ "wait",		700, false, call_wait },
	{ "cancel",		900, false, call_cancel },
	{ "start",		700, false, call_start },
	{ "eventfd",		300, false, call_eventfd },
	{ "info",		150, false, call_info },
	{ "setup",		300, false, call_setup },
	{ "close",		24, false, call_close },
	{ "garbage fields",	500, false, call_garbage },
	{ "raw command",	500, false, call_raw },
	{ "foreign file",	100, false, call_foreign },
	{ "scribble",		300, false, call_scribble },
	{ "mmap",		200, false, call_mmap },
	{ "mremap",		120, false, call_mremap },
	{ "madvise",		120, false, call_madvise },
	{ "map again",		60, false, call_remap },
	{ "attach",		400, false, call_attach },
	{ "AIO cancel",		120, false, call_aio_cancel },
	{ "AIO events",		200, false, call_aio_events },
	{ "AIO destroy",	8, true, call_aio_destroy },
	{ "poll",		200, false, call_poll },
	{ "epoll",		60, false, call_epoll },
	{ "fdinfo",		60, false, call_fdinfo },
	{ "file open",		300, true, call_file_open },
	{ "file close",		30, true, call_file_close },
	{ "file write",		120, true, call_file_write },
	{ "child",		6, true, call_child },
	{ "child submits",	6, true, call_child_submits },
	{ "pass descriptor",	24, false, call_pass },
	{ "dup",		60, false, call_dup },
};

#define NR_KINDS	(sizeof(kinds) / sizeof(*kinds))

_Static_assert(NR_KINDS <= MAX_KINDS, "the tally has room for all kinds");

unsigned int calls_count(void)
{
	return NR_KINDS;
}

const char *calls_name(unsigned int kind)
{
	return kinds[kind].name;
}

static unsigned int choose(struct world *w)
{
	unsigned int i, dice, sum = 0;

	for (i = 0; i < NR_KINDS; i++)
		sum += kinds[i].weight;
	dice = below(w, sum);
	for (i = 0; dice >= kinds[i].weight; i++)
		dice -= kinds[i].weight;
	return i;
}

void calls_make(struct world *w)
{
	unsigned int kind;

	rng_begin(&w->rng, options.seed, w->thread, w->call);
	kind = choose(w);
	w->note = (struct note) { .kind = kinds[kind].name };
	if (!w->child || !kinds[kind].alone)
		kinds[kind].make(w);
	w->tally->kinds[kind]++;
	if (options.only == (int)w->thread)
		describe(w, 1);
	w->call++;
}
