// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the records of demo-wal and reads a log back. The reader trusts nothing: it
 * makes each record again and compares.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wal.h"

/* FNV-1a; enough to tell a torn or stale record from a good one. */
static uint64_t checksum(const unsigned char *bytes, size_t length)
{
	uint64_t sum = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < length; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ULL;
	return sum;
}

/* Returns the size of the record in the log. */
size_t wal_make_record(struct wal_record *record, uint32_t producer, uint32_t number)
{
	uint64_t state = ((uint64_t)producer << 32 | number) * 0x9e3779b97f4a7c15ULL + 1;
	uint32_t i;

	record->magic = WAL_MAGIC;
	record->producer = producer;
	record->number = number;
	record->length = WAL_MIN_PAYLOAD +
			 (uint32_t)(state >> 33) % (WAL_MAX_PAYLOAD - WAL_MIN_PAYLOAD + 1);
	for (i = 0; i < record->length; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		record->payload[i] = (unsigned char)state;
	}
	record->checksum = checksum(record->payload, record->length);
	return WAL_HEADER_SIZE + record->length;
}

/* Reads the next record. 1, 0 at the end, -1 for one that is not good. */
static int read_record(FILE *log, struct wal_record *record)
{
	size_t n = fread(record, 1, WAL_HEADER_SIZE, log);

	if (n == 0 && feof(log))
		return 0;
	if (n != WAL_HEADER_SIZE || record->magic != WAL_MAGIC ||
	    record->length > WAL_MAX_PAYLOAD)
		return -1;
	if (fread(record->payload, 1, record->length, log) != record->length)
		return -1;
	return 1;
}

static int same(const struct wal_record *record)
{
	struct wal_record expected;
	size_t size = wal_make_record(&expected, record->producer, record->number);

	return record->length == expected.length && !memcmp(record, &expected, size);
}

/*
 * Every record of every producer has to be there once, unharmed, and those of one
 * producer in its order. Returns 0, or -1 after a message.
 */
int wal_verify(const char *path, uint32_t producers, uint32_t records)
{
	uint32_t *next = calloc(producers, sizeof(*next));
	FILE *log = fopen(path, "re");
	struct wal_record record;
	unsigned long found = 0;
	int got = -1;

	if (!log || !next) {
		fprintf(stderr, "demo-wal: %s: %s\n", path, strerror(errno));
		goto out;
	}
	while ((got = read_record(log, &record)) == 1) {
		if (record.producer >= producers || !same(&record) ||
		    record.number != next[record.producer]) {
			got = -1;
			break;
		}
		next[record.producer]++;
		found++;
	}
	if (got < 0) {
		fprintf(stderr, "demo-wal: %s: bad record after %lu good ones\n", path, found);
	} else if (found != (unsigned long)producers * records) {
		fprintf(stderr, "demo-wal: %s: %lu records of %lu\n", path, found,
			(unsigned long)producers * records);
		got = -1;
	} else {
		printf("%lu\n", found);
	}
out:
	if (log)
		fclose(log);
	free(next);
	return got;
}
