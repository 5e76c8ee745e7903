// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The public header first, alone, as strict C99; and every structure of the
 * interface has the size that both sides count on.
 */
#include <libafsync.h>

#include <stdio.h>

/* An array type of negative size does not compile. */
#define SIZE_IS(type, size)	\
	((void)sizeof(char[sizeof(struct type) == (size) ? 1 : -1]))

static void structures_have_their_sizes(void)
{
	SIZE_IS(afsync_sqe, 40);
	SIZE_IS(afsync_cqe, 16);
	SIZE_IS(afsync_ring_header, 128);
	SIZE_IS(afsync_info, 32);
	SIZE_IS(afsync_setup, 16);
	SIZE_IS(afsync_wait, 32);
	SIZE_IS(afsync_submit, 56);
	SIZE_IS(afsync_cancel, 24);
	SIZE_IS(afsync_eventfd, 12);
	SIZE_IS(afsync_start, 24);
	/* On every machine, whatever its time_t. */
	SIZE_IS(__kernel_timespec, 16);
}

int main(void)
{
	structures_have_their_sizes();
	afsync_queue_exit(NULL);
	printf("TAP version 13\n1..1\n");
	printf("ok 1 header_compiles_alone_as_c99\n");
	return 0;
}
