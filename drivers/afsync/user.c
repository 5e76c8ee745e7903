// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many requests a user has in flight, over all rings. A request counts for the user
 * who set up its ring, whoever submits through it.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/slab.h>

#include "afsync.h"

#define USER_HASH_BITS	6

/**
 * struct afsync_user - what one user has in flight, over all rings
 * @node: in the table of users, under user_lock
 * @uid: who; set once
 * @refs: one per ring of the user, under user_lock
 * @requests: requests in flight, and slots taken by submitters; atomic, since rings do not
 *	share a lock
 */
struct afsync_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned int refs;
	atomic_t requests;
};

static DEFINE_HASHTABLE(users, USER_HASH_BITS);

/* Protects the table and the references; taken only when a ring comes or goes. */
static DEFINE_SPINLOCK(user_lock);

static struct afsync_user *find_and_get(kuid_t uid)
{
	struct afsync_user *user;

	lockdep_assert_held(&user_lock);

	hash_for_each_possible(users, user, node, __kuid_val(uid)) {
		if (uid_eq(user->uid, uid)) {
			user->refs++;
			return user;
		}
	}
	return NULL;
}

/* The current user, with a reference; NULL for want of memory. */
struct afsync_user *afsync_user_get(void)
{
	struct afsync_user *user, *new;

	new = kzalloc(sizeof(*new), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!new)
		return NULL;
	new->uid = current_uid();
	new->refs = 1;

	spin_lock(&user_lock);
	user = find_and_get(new->uid);
	if (!user)
		hash_add(users, &new->node, __kuid_val(new->uid));
	spin_unlock(&user_lock);

	if (!user)
		return new;
	kfree(new);
	return user;
}

kuid_t afsync_user_uid(const struct afsync_user *user)
{
	return user->uid;
}

void afsync_user_put(struct afsync_user *user)
{
	bool last;

	spin_lock(&user_lock);
	last = !--user->refs;
	if (last)
		hash_del(&user->node);
	spin_unlock(&user_lock);

	if (last)
		kfree(user);
}

/* Counts more requests in flight, as many of @count as it may have; returns how many. */
u32 afsync_user_charge(struct afsync_user *user, u32 count)
{
	int max = READ_ONCE(afsync_max_user_requests);
	int now = atomic_read(&user->requests), more;

	do
		more = clamp_t(int, max - now, 0, count);
	while (more && !atomic_try_cmpxchg(&user->requests, &now, now + more));
	return more;
}

void afsync_user_uncharge(struct afsync_user *user, u32 count)
{
	atomic_sub(count, &user->requests);
}
