// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The requests of one lio_listio(), which end together: the last one notifies the program, or
 * wakes the call that waits.
 */
#include <errno.h>

#include "posix.h"

/*
 * The elements of one call. Counted: each element in flight, and the call itself until
 * all are queued. References: the same, and a call that waits.
 */
struct group {
	unsigned int refs;	/* atomic */
	unsigned int pending;	/* atomic */
	bool failed;		/* atomic; of one that was queued, or was to be */
	bool waits;		/* fixed; LIO_WAIT */
	uint32_t done;		/* futex; 1 when none is pending */
	struct notice notice;	/* fixed; sent by the last */
};

/* The caller has it pending, until group_end(), and a reference besides. */
int group_new(bool waits, const struct sigevent *event, struct group **groupp)
{
	struct group *group;
	int ret;

	group = afsync_object_new(sizeof(*group));
	if (!group)
		return EAGAIN;
	group->refs = 2;
	group->pending = 1;
	group->waits = waits;
	ret = notice_copy(waits ? NULL : event, &group->notice);
	if (ret) {
		afsync_object_free(group, sizeof(*group));
		return ret;
	}
	*groupp = group;
	return 0;
}

void group_put(struct group *group)
{
	if (__atomic_sub_fetch(&group->refs, 1, __ATOMIC_ACQ_REL))
		return;
	notice_drop(&group->notice);
	afsync_object_free(group, sizeof(*group));
}

/* One more is in flight. The caller has it pending itself. */
void group_get(struct group *group)
{
	__atomic_add_fetch(&group->refs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&group->pending, 1, __ATOMIC_RELAXED);
}

/* One has ended, or was not queued after all. The last one notifies. */
void group_end(struct group *group, bool failed)
{
	if (failed)
		__atomic_store_n(&group->failed, true, __ATOMIC_RELAXED);
	/* Orders the work of each before that of the last one. */
	if (!__atomic_sub_fetch(&group->pending, 1, __ATOMIC_ACQ_REL)) {
		if (!group->waits)
			notice_send(&group->notice);
		__atomic_store_n(&group->done, 1, __ATOMIC_RELEASE);
		futex_wake(&group->done);
	}
	group_put(group);
}

/* With the signals open that are so in the program. EIO if an element failed. */
int group_wait(struct group *group, const struct mask *mask)
{
	struct mask ours;
	int ret = 0;

	signals_restore(mask);
	while (!__atomic_load_n(&group->done, __ATOMIC_ACQUIRE)) {
		/* The elements continue; the program can wait for each by itself. */
		if (futex_wait(&group->done, 0, NULL) == EINTR &&
		    !__atomic_load_n(&group->done, __ATOMIC_ACQUIRE)) {
			ret = EINTR;
			break;
		}
	}
	signals_block(&ours);
	if (ret)
		return ret;
	return __atomic_load_n(&group->failed, __ATOMIC_RELAXED) ? EIO : 0;
}
