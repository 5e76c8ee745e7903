/* SPDX-License-Identifier: GPL-2.0-only */
/* Marks in a log of writes; see Documentation/admin-guide/device-mapper/log-writes.rst. */
#ifndef AFSYNC_CRASH_MARK_H
#define AFSYNC_CRASH_MARK_H

/* Puts that text into the log of the device mapper device of this name. Exits if it cannot. */
void put_mark(const char *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
