// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contents of a sector: its writer, and 496 bytes computed from that.
 */
#include <string.h>

#include "model.h"

#define WORDS	(SECTOR / sizeof(uint32_t))

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ (x >> 16);
}

void sector_fill(void *buf, const struct sector_id *id)
{
	uint32_t words[WORDS], seed;
	size_t i;

	memcpy(words, id, sizeof(*id));
	seed = mix(id->process ^ mix(id->file ^ mix(id->place ^ mix(id->version))));
	for (i = sizeof(*id) / sizeof(uint32_t); i < WORDS; i++) {
		seed = mix(seed + i);
		words[i] = seed;
	}
	memcpy(buf, words, SECTOR);
}

bool sector_read(const void *buf, struct sector_id *id)
{
	static const char zeros[SECTOR];
	char expected[SECTOR];

	memset(id, 0, sizeof(*id));
	if (!memcmp(buf, zeros, SECTOR))
		return true;
	memcpy(id, buf, sizeof(*id));
	sector_fill(expected, id);
	return id->version && !memcmp(buf, expected, SECTOR);
}
