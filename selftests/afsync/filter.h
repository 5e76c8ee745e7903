/* SPDX-License-Identifier: GPL-2.0-only */
/* System calls that fail, as in a container whose filter refuses them. */
#ifndef _AFSYNC_SELFTEST_FILTER_H
#define _AFSYNC_SELFTEST_FILTER_H

#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* From now on, in this thread and those that it makes: system call @nr fails with @error. */
static inline void call_fails(long nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

#endif /* _AFSYNC_SELFTEST_FILTER_H */
