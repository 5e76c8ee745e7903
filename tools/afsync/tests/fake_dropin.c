// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for a drop-in library in exec_test.sh: counts, and says if asked to, that a
 * program was loaded with it. NAME is the one it stands in for.
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
