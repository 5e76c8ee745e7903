// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <errno.h>
#include <string.h>

#include "change.h"
#include "mark.h"
#include "request.h"

const struct syncer *syncer;
uint32_t in_flight;
static struct request requests[DEPTH];
static uint32_t process, nr_acks;
static const char *device;

void request_begin(const struct syncer *by, const char *log, uint32_t number)
{
	syncer = by;
	device = log;
	process = number;
	syncer->begin();
}

static void acknowledge(const struct request *r)
{
	struct record record = { .file = r->file, .upto = r->upto, .ack = ++nr_acks };

	if (r->op == OP_SYNCFS) {
		record.kind = ACK_ALL;
		keep(record);
	} else if (r->file == NO_FILE) {
		record.kind = ACK_NAMES;
		keep(record);
	} else {
		record.kind = ACK_DATA;
		record.first = r->first;
		record.end = r->end;
		keep(record);
		record.kind = ACK_SIZE;
		if (r->with_size)
			keep(record);
		record.kind = ACK_MODE;
		if (r->op == OP_FSYNC)
			keep(record);
	}
	put_mark(device, "%u.%u", process, nr_acks);
}

void reap(void)
{
	struct request *r;
	uint32_t slot;
	int res;

	res = syncer->reap(&slot);
	r = &requests[slot];
	if (slot >= DEPTH || !r->used)
		errx(1, "process %u: a completion of nothing", process);
	if (!res)
		acknowledge(r);
	else if (res != -ECANCELED || !r->cancelled)
		errx(1, "process %u: a sync ended with: %s", process, strerror(-res));
	r->used = false;
	in_flight--;
}

void start_held(void)
{
	uint32_t slot;

	for (slot = 0; slot < DEPTH; slot++) {
		if (!requests[slot].held)
			continue;
		requests[slot].held = false;
		/* The sync covers all writes before the start. */
		requests[slot].upto = nr_records;
		syncer->start(slot);
	}
}

uint32_t submit(struct want want, struct request r)
{
	uint32_t slot = 0;
	int ret;

	/* A held one does not end by itself. */
	if (in_flight == DEPTH)
		start_held();
	while (in_flight == DEPTH)
		reap();
	while (requests[slot].used)
		slot++;
	r.used = true;
	r.held = want.hold;
	r.op = want.op;
	r.upto = nr_records;
	ret = syncer->submit(&want, slot);
	/* This kernel, or this engine, cannot see the direct I/O in flight. */
	if (ret == -EOPNOTSUPP && want.drain)
		return slot;
	if (ret)
		errx(1, "process %u: a sync was refused: %s", process, strerror(-ret));
	requests[slot] = r;
	in_flight++;
	return slot;
}

void cancel(uint32_t slot)
{
	if (!syncer->cancel || !requests[slot].used || requests[slot].held)
		return;
	requests[slot].cancelled = true;
	syncer->cancel(slot);
}

void sync_whole_file(enum op op, uint32_t file, int fd)
{
	submit((struct want){ .op = op, .fd = fd },
	       (struct request){ .file = file, .end = MAX_SECTORS, .with_size = true });
}

void sync_folder(int folder)
{
	submit((struct want){ .op = OP_FSYNC, .fd = folder }, (struct request){ .file = NO_FILE });
}

uint32_t request_end(void)
{
	start_held();
	while (in_flight)
		reap();
	syncer->end();
	return nr_acks;
}
