// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lanes: a filesystem on which a user has requests, and those that were cancelled there.
 * pool.c makes and frees lanes, and decides when their queues run.
 */
#include "afsync.h"
#include "fileq.h"
#include "lane.h"

/*
 * Has the reaper complete a cancelled request. The request keeps the lane until the lock is
 * dropped: then a reaper that already runs may complete it.
 */
void afsync_lane_cancelled(struct afsync_req *req)
{
	struct afsync_lane *lane = req->fileq->lane;
	struct afsync_pool *pool = lane->pool;

	spin_lock(&pool->lock);
	list_move_tail(&req->link, &lane->cancelled);
	if (queue_work(pool->reap_wq, &lane->reap))
		lane->refs++;
	spin_unlock(&pool->lock);
}

/* The lane of @domain, with a reference, or NULL. */
static struct afsync_lane *find_and_get(struct afsync_user *user, const void *domain)
{
	struct afsync_pool *pool = afsync_user_pool(user);
	struct afsync_lane *lane;

	lockdep_assert_held(&pool->lock);

	hash_for_each_possible(pool->lanes, lane, node, (unsigned long)domain) {
		if (lane->domain != domain)
			continue;
		if (!lane->refs++) {
			pool->idle = NULL;
			afsync_user_again(user);
		}
		return lane;
	}
	return NULL;
}

/* The lane of an existing user, on the domain of @key; with a reference, or NULL. */
struct afsync_lane *afsync_lane_get(struct afsync_user *user, const struct afsync_key *key)
{
	struct afsync_pool *pool = afsync_user_pool(user);
	struct afsync_lane *lane, *new;

	spin_lock(&pool->lock);
	lane = find_and_get(user, key->domain);
	spin_unlock(&pool->lock);
	if (lane)
		return lane;

	new = afsync_lane_alloc(pool, key);
	if (!new)
		return NULL;

	/* Another thread may have made it meanwhile. */
	spin_lock(&pool->lock);
	lane = find_and_get(user, key->domain);
	if (!lane) {
		new->refs = 1;
		new->user = afsync_user_again(user);
		hash_add(pool->lanes, &new->node, (unsigned long)key->domain);
	}
	spin_unlock(&pool->lock);

	if (!lane)
		return new;
	afsync_lane_free(new);
	return lane;
}

/* Is it that lane? The answer stays true as long as the caller has a reference. */
bool afsync_lane_is(const struct afsync_lane *lane, const struct afsync_user *user,
		    const void *domain)
{
	return lane->domain == domain && lane->user == user;
}

/* Of the idle lanes of a user, the last one is kept. */
void afsync_lane_put(struct afsync_lane *lane)
{
	struct afsync_user *user = lane->user;
	struct afsync_pool *pool = lane->pool;
	struct afsync_lane *surplus = NULL;
	bool last;

	spin_lock(&pool->lock);
	last = !--lane->refs;
	if (last) {
		surplus = pool->idle;
		pool->idle = lane;
	}
	if (surplus)
		hash_del(&surplus->node);
	spin_unlock(&pool->lock);

	if (surplus)
		afsync_lane_free(surplus);
	if (last)
		afsync_user_put(user);
}
