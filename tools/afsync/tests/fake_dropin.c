// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replaces a drop-in library in exec_test.sh: counts, and reports on request, that a
 * program was loaded with it. NAME is the library that it replaces.
 */
#include <string.h>

#include "dropin.h"

static void __attribute__((constructor)) loaded(void)
{
	if (!strcmp(NAME, "posix"))
		dropin_count(DROPIN_POSIX_FSYNC, 1);
	else
		dropin_count(DROPIN_LIBAIO_FDSYNC, 2);
	dropin_say("libafsync-" NAME, "loaded", 0);
}
