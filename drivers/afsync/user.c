// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users: the user of a ring, how many requests that user has in flight over all rings,
 * and the pool of workers that runs their syncs (pool.c). A request counts for the user
 * who set up its ring, even if another process submits it.
 */
#include <linux/audit.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "afsync.h"
#include "lane.h"

#define USER_HASH_BITS	6

/**
 * struct identity - identifies a user
 * @uid: the user who logged in, if the process comes from a login; else the real user id. For
 *	a process in a user namespace, the owner of the outermost one: the owner of a
 *	namespace can map any number of user ids.
 * @ns: NULL; or that outermost namespace, if root owns it: then it is a container that
 *	shares only its owner with root. Compared, and kept by a reference.
 */
struct identity {
	kuid_t uid;
	struct user_namespace *ns;
};

/**
 * struct afsync_user - one user
 * @node: in the table of users, under user_lock
 * @id: its identity; set once
 * @refs: one for each ring and each lane with queues. 0 is reached, and left, under
 *	user_lock; then the user is idle and stays for up to a second, for the next ring.
 * @requests: requests in flight, and slots taken by submitters; atomic, since rings do not
 *	share a lock
 * @pool: runs the syncs; set once
 */
struct afsync_user {
	struct hlist_node node;
	struct identity id;
	refcount_t refs;
	atomic_t requests;
	struct afsync_pool *pool;
};

static DEFINE_HASHTABLE(users, USER_HASH_BITS);

/* Protects the table; taken when a ring comes or goes, and when a user becomes idle. */
static DEFINE_SPINLOCK(user_lock);

static void free_idle_users(struct work_struct *work);
static DECLARE_DELAYED_WORK(idle_work, free_idle_users);

/*
 * A user with subordinate ids can use them outside the namespace, too: with a set-user-ID file
 * there that belongs to them. No program that is executed changes the login. Only ordinary
 * users are known by their login: root stays root, and the login of root does not count.
 */
static kuid_t login_of(kuid_t uid)
{
	kuid_t login = audit_get_loginuid(current);

	if (!uid_valid(login) || uid_eq(login, GLOBAL_ROOT_UID) || uid_eq(uid, GLOBAL_ROOT_UID))
		return uid;
	return login;
}

static struct identity current_identity(void)
{
	struct user_namespace *ns = current_user_ns();

	if (ns == &init_user_ns)
		return (struct identity) { .uid = login_of(current_uid()) };
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	if (uid_eq(ns->owner, GLOBAL_ROOT_UID))
		return (struct identity) { .uid = ns->owner, .ns = ns };
	return (struct identity) { .uid = login_of(ns->owner) };
}

static unsigned int max_syncs(const struct identity *id)
{
	bool root = uid_eq(id->uid, GLOBAL_ROOT_UID) && !id->ns;

	return READ_ONCE(*(root ? &afsync_max_root_syncs : &afsync_max_user_syncs));
}

static struct afsync_user *find_and_get(const struct identity *id)
{
	struct afsync_user *user;

	lockdep_assert_held(&user_lock);

	hash_for_each_possible(users, user, node, __kuid_val(id->uid)) {
		if (!uid_eq(user->id.uid, id->uid) || user->id.ns != id->ns)
			continue;
		/* Without references it is idle: only a thread with the lock may add one. */
		if (!refcount_inc_not_zero(&user->refs))
			refcount_set(&user->refs, 1);
		return user;
	}
	return NULL;
}

static struct afsync_user *user_alloc(const struct identity *id)
{
	struct afsync_user *user;

	user = kzalloc(sizeof(*user), AFSYNC_GFP | __GFP_ACCOUNT);
	if (!user)
		return NULL;
	user->pool = afsync_pool_create(max_syncs(id));
	if (!user->pool) {
		kfree(user);
		return NULL;
	}
	user->id = *id;
	if (id->ns)
		get_user_ns(id->ns);
	refcount_set(&user->refs, 1);
	return user;
}

/* Waits for workers of the pool that are about to return; there are no others. */
static void user_free(struct afsync_user *user)
{
	afsync_pool_destroy(user->pool);
	if (user->id.ns)
		put_user_ns(user->id.ns);
	kfree(user);
}

/* The current user, with a reference; NULL without memory. */
struct afsync_user *afsync_user_get(void)
{
	struct identity id = current_identity();
	struct afsync_user *user, *new;

	spin_lock(&user_lock);
	user = find_and_get(&id);
	spin_unlock(&user_lock);
	if (user)
		return user;

	new = user_alloc(&id);
	if (!new)
		return NULL;

	/* Another thread may have made it meanwhile. */
	spin_lock(&user_lock);
	user = find_and_get(&id);
	if (!user)
		hash_add(users, &new->node, __kuid_val(id.uid));
	spin_unlock(&user_lock);

	if (!user)
		return new;
	user_free(new);
	return user;
}

/* Another reference to an existing user. */
struct afsync_user *afsync_user_again(struct afsync_user *user)
{
	refcount_inc(&user->refs);
	return user;
}

/*
 * The user is freed later, and elsewhere: the last reference may be dropped by a worker of
 * its own pool, and making a pool takes too long to do it for every program that runs.
 */
void afsync_user_put(struct afsync_user *user)
{
	if (!refcount_dec_and_lock(&user->refs, &user_lock))
		return;
	schedule_delayed_work(&idle_work, HZ);
	spin_unlock(&user_lock);
}

/* Takes the users that are idle, or all, out of the table, and frees them. */
static void free_users(bool all)
{
	struct afsync_user *user;
	struct hlist_node *next;
	HLIST_HEAD(gone);
	int i;

	spin_lock(&user_lock);
	hash_for_each_safe(users, i, next, user, node) {
		if (!all && refcount_read(&user->refs))
			continue;
		hash_del(&user->node);
		hlist_add_head(&user->node, &gone);
	}
	spin_unlock(&user_lock);

	hlist_for_each_entry_safe(user, next, &gone, node)
		user_free(user);
}

static void free_idle_users(struct work_struct *work)
{
	free_users(false);
}

/*
 * The end of the module: no ring and no request exists any more. Only workers may be left
 * that are about to drop the last references to their queue, lane and user.
 */
void afsync_user_exit(void)
{
	free_users(true);
	cancel_delayed_work_sync(&idle_work);
}

struct afsync_pool *afsync_user_pool(const struct afsync_user *user)
{
	return user->pool;
}

/* Counts more requests in flight, as many of @count as the limit allows; returns how many. */
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
