// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bug to find: preloaded in front of libaio or of the drop-in, this library sends every fourth
 * write to a file in memory. The write succeeds, but its data is lost.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libaio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static int elsewhere = -1;
static atomic_uint writes;

__attribute__((constructor)) static void open_elsewhere(void)
{
	elsewhere = memfd_create("lost", MFD_CLOEXEC);
	if (elsewhere < 0)
		abort();
}

int io_submit(io_context_t ctx, long nr, struct iocb **iocbs)
{
	int (*next)(io_context_t ctx, long nr, struct iocb **iocbs) = dlsym(RTLD_NEXT, "io_submit");
	long i;

	for (i = 0; i < nr; i++)
		if (iocbs[i]->aio_lio_opcode == IO_CMD_PWRITE && ++writes % 4 == 0)
			iocbs[i]->aio_fildes = elsewhere;
	return next(ctx, nr, iocbs);
}
