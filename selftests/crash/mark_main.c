// SPDX-License-Identifier: GPL-2.0-only
/* Puts a mark into a log of writes: mark DEVICE TEXT */
#include <err.h>

#include "mark.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: mark DEVICE TEXT");
	put_mark(argv[1], "%s", argv[2]);
	return 0;
}
