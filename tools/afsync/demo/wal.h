/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log of demo-wal: the layout of a record, and how a log is read back.
 */
#ifndef DEMO_WAL_H
#define DEMO_WAL_H

#include <stddef.h>
#include <stdint.h>

#define WAL_MAGIC	0x4c415741U
#define WAL_MIN_PAYLOAD	64
#define WAL_MAX_PAYLOAD	511

/* Producer and number determine the payload, so a reader can check it. */
struct wal_record {
	uint32_t magic;
	uint32_t producer;
	uint32_t number;
	uint32_t length;	/* of the payload */
	uint64_t checksum;	/* of the payload */
	unsigned char payload[WAL_MAX_PAYLOAD + 1];
};

#define WAL_HEADER_SIZE	offsetof(struct wal_record, payload)

/* record.c */
size_t wal_make_record(struct wal_record *record, uint32_t producer, uint32_t number);
int wal_verify(const char *path, uint32_t producers, uint32_t records);

#endif /* DEMO_WAL_H */
