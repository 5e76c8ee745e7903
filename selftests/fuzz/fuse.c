// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuse NAME: mounts the tests' FUSE filesystem below /mnt, prints "mounted" and serves it
 * until its standard input ends. Every sixteenth open file returns EIO for syncs.
 */
#include "../afsync/fs_fuse.h"

int main(int argc, char **argv)
{
	struct fuse_fs fs;
	char byte;

	if (argc != 2) {
		fprintf(stderr, "usage: fuse NAME\n");
		return 2;
	}
	load_module("fuse");
	fuse_up(&fs, argv[1]);
	fs.state->error[3] = -EIO;
	if (write(STDOUT_FILENO, "mounted\n", 8) != 8)
		return 1;
	while (read(STDIN_FILENO, &byte, 1) == 1)
		;
	fuse_down(&fs);
	return 0;
}
