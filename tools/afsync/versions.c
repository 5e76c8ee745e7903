// SPDX-License-Identifier: GPL-2.0-only
/*
 * Have the loaded module and the library of this command the same version?
 */
#include <string.h>

#include "afsync.h"

#define NEWER_MODULE	"install the libraries and the command of that version, too"
#define OLDER_MODULE	"install that version of the module, too, then load it, as root:\n" \
			"  'modprobe -r afsync && modprobe afsync'"

/*
 * What to do if @module and @library, versions as "1.4.0", differ; NULL if not. The two work
 * together nevertheless: each checks the features of the other.
 */
const char *versions_advice(const char *module, const char *library)
{
	int order = strverscmp(module, library);

	if (!order)
		return NULL;
	return order < 0 ? OLDER_MODULE : NEWER_MODULE;
}
