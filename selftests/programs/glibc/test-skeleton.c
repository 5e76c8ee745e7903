// SPDX-License-Identifier: GPL-2.0-only
/*
 * The minimum that glibc's own tests of aio expect of the file of this name: a main()
 * that calls do_test() (TEST_FUNCTION if that is defined) after PREPARE, a folder for
 * files and a list of files to remove at the end. There is no time limit here: see
 * repeat.c. Included by the tests, before or after they define do_test().
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((unused)) static const char *test_dir = "/tmp";
static const char *temp_file;

__attribute__((unused)) static void *xmalloc(size_t size)
{
	void *p = malloc(size);

	if (!p)
		abort();
	return p;
}

/* None of them has more than one. */
__attribute__((unused)) static void add_temp_file(const char *name)
{
	temp_file = name;
}

int main(int argc, char **argv)
{
	int ret;

	(void)argc;
	(void)argv;
	setvbuf(stdout, NULL, _IONBF, 0);
#ifdef PREPARE
	PREPARE(argc, argv);
#endif
#ifdef TEST_FUNCTION
	ret = TEST_FUNCTION;
#else
	ret = do_test(argc, argv);
#endif
	if (temp_file)
		unlink(temp_file);
	return ret;
}
