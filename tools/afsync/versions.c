// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the module that is loaded and the library of this command are of one version.
 */
#include <string.h>

#include "afsync.h"

#define NEWER_MODULE	"install the libraries and the command of that version, too"
#define OLDER_MODULE	"install that version of the module, too, then load it, as root:\n" \
			"  'modprobe -r afsync && modprobe afsync'"

/*
 * What to do if @module and @library, versions as "1.4.0", differ; NULL if not. The two work
 * with each other all the same: each asks what the other knows.
 */
const char *versions_advice(const char *module, const char *library)
{
	int order = strverscmp(module, library);

	if (!order)
		return NULL;
	return order < 0 ? OLDER_MODULE : NEWER_MODULE;
}
