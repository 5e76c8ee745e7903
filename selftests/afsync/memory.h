/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that runs out. A test walks through all allocations of some calls: a child makes the calls
 * with no memory to spare, the next one with a little more, and so on, until they all succeed.
 */
#ifndef _AFSYNC_SELFTEST_MEMORY_H
#define _AFSYNC_SELFTEST_MEMORY_H

#include "common.h"

#include <sys/resource.h>

/* What walk_memory() stops at, in bytes; threads take the most. */
#define MEMORY_ENOUGH	(64UL << 20)

struct memory {
	struct rlimit unlimited;
	void *hoard;		/* a list of blocks of malloc */
};

static inline void memory_set(const struct memory *memory, rlim_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = memory->unlimited.rlim_max };

	need(setrlimit(RLIMIT_AS, &limit) == 0);
}

static inline rlim_t memory_in_use(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	need(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoul(text, NULL, 10) * sysconf(_SC_PAGESIZE);
}

/* From now on there are @spare bytes, for mmap(2) and malloc(3) together. */
static inline void memory_limit(struct memory *memory, size_t spare)
{
	size_t size;
	void **block;

	need(getrlimit(RLIMIT_AS, &memory->unlimited) == 0);
	memory->hoard = NULL;
	memory_set(memory, 0);
	/* What malloc has to spare. */
	for (size = 1 << 20; size >= sizeof(*block); size /= 2) {
		while ((block = malloc(size))) {
			*block = memory->hoard;
			memory->hoard = block;
		}
	}
	memory_set(memory, memory_in_use() + spare);
}

static inline void memory_unlimit(struct memory *memory)
{
	void **block;

	need(setrlimit(RLIMIT_AS, &memory->unlimited) == 0);
	while ((block = memory->hoard)) {
		memory->hoard = *block;
		free(block);
	}
}

/*
 * Runs @calls in one child after the other, each with more memory. It limits the memory, and
 * returns how many of its calls were refused for the lack of it. Returns how many of the children
 * saw one refused, -1 if a child failed; and in the last child none was refused.
 */
static inline int walk_memory(int (*calls)(void *arg, size_t spare), void *arg)
{
	/* The libraries allocate no less at once, except by malloc. */
	const size_t step = 16 << 10;
	size_t spare;
	int refused, children = 0, status;
	pid_t pid;

	for (spare = 0; spare < MEMORY_ENOUGH; spare += spare < 16 * step ? step : spare / 2) {
		pid = fork();
		need(pid >= 0);
		if (!pid) {
			refused = calls(arg, spare);
			_exit(refused < 100 ? refused : 100);
		}
		status = child_wait(pid);
		if (!status)
			return children;
		if (status > 100)
			return -1;
		children++;
	}
	return -1;
}

#endif /* _AFSYNC_SELFTEST_MEMORY_H */
