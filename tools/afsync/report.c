// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages on stderr. A file name can hold anything, so what would move the
 * cursor or start a new line is shown as an octal escape.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "afsync.h"

/* The caller frees it. NULL if there is no memory. */
char *escape_name(const char *name)
{
	char *buf = malloc(4 * strlen(name) + 1);
	char *end = buf;

	if (!buf)
		return NULL;
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < ' ' || c == 0x7f)
			end += sprintf(end, "\\%03o", c);
		else
			*end++ = (char)c;
	}
	*end = '\0';
	return buf;
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs(PROGRAM ": ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}
