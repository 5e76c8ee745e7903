// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages on stderr. A file name can hold anything, so characters that would move the cursor
 * or start a new line are shown as octal escapes, and a backslash as two: the output
 * determines the name. Names are taken as UTF-8, whatever the locale.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "afsync.h"

/*
 * The bytes of the character that @name begins with, 0 if that is no UTF-8: overlong
 * forms, surrogates and values beyond U+10FFFF are none. Reads no further than the NUL.
 */
static size_t utf8_length(const unsigned char *name)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int value;
	size_t length, i;

	if (*name < 0x80)
		return 1;
	length = *name >= 0xf0 ? 4 : *name >= 0xe0 ? 3 : 2;
	value = *name & (0x7fU >> length);
	if (*name < 0xc0 || *name > 0xf4)
		return 0;
	for (i = 1; i < length; i++) {
		if ((name[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (name[i] & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	return length;
}

/* Control characters: C0 and DEL, and C1, which are U+0080 to U+009F. */
static bool is_control(const unsigned char *name, size_t length)
{
	return length == 1 ? *name < ' ' || *name == 0x7f :
	       length == 2 && name[0] == 0xc2 && name[1] < 0xa0;
}

/* The caller frees it. NULL if there is no memory. */
char *escape_name(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;
	char *buf = malloc(4 * strlen(name) + 1);
	char *end = buf;
	size_t length;

	if (!buf)
		return NULL;
	while (*at) {
		length = utf8_length(at);
		if (*at == '\\') {
			end = stpcpy(end, "\\\\");
			at++;
		} else if (length && !is_control(at, length)) {
			end = mempcpy(end, at, length);
			at += length;
		} else {
			do
				end += sprintf(end, "\\%03o", *at++);
			while (length > 1 && length--);
		}
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

/* About a file or a program. */
void complain_name(const char *name, const char *reason)
{
	char *shown = escape_name(name);

	complain("%s: %s", shown ? shown : NO_NAME, reason);
	free(shown);
}
