// SPDX-License-Identifier: GPL-2.0-only
/* Messages to the device that fails writes and keeps flushes (selftests/sim/faulty.c). */
#include <err.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "twin.h"

struct request {
	struct dm_ioctl io;
	struct dm_target_msg message;
	char text[256];
};

static const char *device;
static int control;

void device_open(const char *name)
{
	device = name;
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		err(2, "/dev/mapper/control");
}

/* Returns the answer, which is valid until the next message. */
static const char *send(const char *format, va_list ap)
{
	static struct request request;

	request = (struct request){ .io = {
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = sizeof(request),
		.data_start = offsetof(struct request, message),
	} };
	snprintf(request.io.name, sizeof(request.io.name), "%s", device);
	vsnprintf(request.message.message, sizeof(request.text), format, ap);
	if (ioctl(control, DM_TARGET_MSG, &request))
		err(2, "%s does not take '%s'", device, request.message.message);
	return (const char *)&request + request.io.data_start;
}

void device_message(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	send(format, ap);
	va_end(ap);
}

static const char *ask(const char *format, ...)
{
	const char *answer;
	va_list ap;

	va_start(ap, format);
	answer = send(format, ap);
	va_end(ap);
	return answer;
}

void device_count(unsigned long *writes, unsigned long *failed, unsigned int *kept)
{
	const char *answer = ask("count");

	if (sscanf(answer, "%lu %lu %u", writes, failed, kept) != 3)
		errx(2, "%s counts '%s'", device, answer);
}
