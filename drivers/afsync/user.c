// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many requests a user has in flight, over all rings. A request counts for the user
 * who set up its ring, whoever submits through it.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "afsync.h"

#define USER_HASH_BITS	6

/**
 * struct afsync_user - what one user has in flight, over all rings
 * @node: in the table of users, under user_mutex
 * @uid: who; set once
 * @refs: one per ring of the user, under user_mutex
 * @requests: requests in flight; atomic, since rings do not share a lock
 */
struct afsync_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned int refs;
	atomic_t requests;
};

static DEFINE_HASHTABLE(users, USER_HASH_BITS);

/* Protects the table and the references; taken only when a ring comes or goes. */
static DEFINE_MUTEX(user_mutex);

static struct afsync_user *lookup_user(kuid_t uid)
{
	struct afsync_user *user;

	lockdep_assert_held(&user_mutex);

	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

static struct afsync_user *add_user(kuid_t uid)
{
	struct afsync_user *user;

	lockdep_assert_held(&user_mutex);

	user = kzalloc(sizeof(*user), GFP_KERNEL);
	if (!user)
		return NULL;
	user->uid = uid;
	hash_add(users, &user->node, __kuid_val(uid));
	return user;
}

/* The current user, with a reference; NULL for want of memory. */
struct afsync_user *afsync_user_get(void)
{
	struct afsync_user *user;

	mutex_lock(&user_mutex);
	user = lookup_user(current_uid()) ?: add_user(current_uid());
	if (user)
		user->refs++;
	mutex_unlock(&user_mutex);
	return user;
}

void afsync_user_put(struct afsync_user *user)
{
	mutex_lock(&user_mutex);
	if (!--user->refs) {
		hash_del(&user->node);
		kfree(user);
	}
	mutex_unlock(&user_mutex);
}

/* Counts one more request in flight, unless that would be too many. */
bool afsync_user_charge(struct afsync_user *user)
{
	if (atomic_inc_return(&user->requests) <= READ_ONCE(afsync_max_user_requests))
		return true;
	atomic_dec(&user->requests);
	return false;
}

void afsync_user_uncharge(struct afsync_user *user)
{
	atomic_dec(&user->requests);
}
