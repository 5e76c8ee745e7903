// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mark.h"

#define MESSAGE	"mark"

void put_mark(const char *device, const char *format, ...)
{
	struct {
		struct dm_ioctl io;
		struct dm_target_msg message;
		char text[64];
	} request = { .io = {
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = sizeof(request),
		.data_start = offsetof(typeof(request), message),
	} };
	static int control = -1;
	va_list ap;
	int n;

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	snprintf(request.io.name, sizeof(request.io.name), "%s", device);
	n = sprintf(request.message.message, "%s ", MESSAGE);
	va_start(ap, format);
	vsnprintf(request.message.message + n, sizeof(request.text) - n, format, ap);
	va_end(ap);
	if (ioctl(control, DM_TARGET_MSG, &request))
		err(2, "the log of %s takes no mark", device);
}
