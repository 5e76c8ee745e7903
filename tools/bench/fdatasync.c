// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine: fdatasync (or fsync) in the caller, one after the other.
 */
#include "bench.h"

static void setup(struct worker *w)
{
	(void)w;
}

static void run(struct worker *w, uint64_t nr)
{
	struct slot slot = { .index = 0 };
	uint64_t op;
	int ret;

	for (op = 0; op < nr; op++) {
		op_begin(w, &slot, op);
		ret = op_sync(w->plan, slot.fd);
		op_end(w, &slot, ret, op_time(w));
	}
	w->syncs += nr;
}

const struct engine engine_fdatasync = {
	.name = "fdatasync", .setup = setup, .run = run, .finish = setup,
};
