/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A walk over a call: its first allocation or copy fails, then in a new scene the second,
 * and so on until the call ends before anything has failed. After each step it has done all
 * or nothing and says which, with an errno that is documented for it, and the scene ends
 * normally.
 *
 * A program has a CALL() for each call and ends with TEST_HARNESS_MAIN. ROUNDS=N walks N
 * times; CALL=NAME walks over that one only. Needs afsync_sim, root, and a kernel with fault
 * injection.
 */
#ifndef _AFSYNC_SELFTEST_WALK_H
#define _AFSYNC_SELFTEST_WALK_H

#include "points.h"
#include "scene.h"

/* No call has so many. */
#define MAX_STEPS	1000

/**
 * struct call - the call to walk over
 * @prepare: sets up what the call needs, without a failure; or NULL
 * @run: the call, with as little other code as possible: a result, or -errno
 * @check: whether the result matches the effect; or NULL
 * @result: its result without failures
 * @errors: its possible errnos when a step fails: all that are documented for that
 * @may_have_no_step: the call may have no step that can fail
 */
struct call {
	void (*prepare)(struct scene *scene);
	int (*run)(struct scene *scene);
	const char *(*check)(struct scene *scene, int ret);
	int result;
	int errors[3];
	bool may_have_no_step;
};

static inline bool may_say(const struct call *call, int ret)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(call->errors); i++)
		if (call->errors[i] && ret == -call->errors[i])
			return true;
	return false;
}

/* One step; *ret is the call's result, *happened whether something failed in it. */
static inline const char *walk_step(struct scene *scene, const struct call *call,
				    unsigned int nth, int *ret, bool *happened)
{
	const char *wrong = NULL, *end;

	scene_begin(scene, nth);
	if (call->prepare)
		call->prepare(scene);
	fault_set(nth);
	*ret = call->run(scene);
	*happened = fault_happened();
	if (!*happened && *ret != call->result)
		wrong = "nothing failed, and this is not its result";
	else if (*ret < 0 && *ret != call->result && !may_say(call, *ret))
		wrong = "an errno that is not documented";
	else if (call->check)
		wrong = call->check(scene, *ret);
	end = scene_end(scene);
	return wrong ?: end;
}

static inline bool walk(struct scene *scene, const char *name, const struct call *call)
{
	unsigned int nth, refused = 0;
	bool happened = true;
	const char *wrong;
	int ret;

	for (nth = 1; happened; nth++) {
		wrong = nth < MAX_STEPS ? walk_step(scene, call, nth, &ret, &happened) :
					  "has no end";
		if (wrong) {
			fprintf(stderr, "# %s: step %u fails, the call says %d: %s\n", name,
				nth, ret, wrong);
			return false;
		}
		refused += ret < 0 && ret != call->result;
	}
	/* The last one did not fail. */
	nth -= 2;
	fprintf(stderr, "# %s: %u points, %u refused\n", name, nth, refused);
	walked_add(nth);
	if (!nth && !call->may_have_no_step) {
		fprintf(stderr, "# %s: no point to fail\n", name);
		return false;
	}
	if (!refused && call->errors[0]) {
		fprintf(stderr, "# %s: was never refused\n", name);
		return false;
	}
	return true;
}

FIXTURE(every_failing_step) {
	struct scene scene;
	long long max_user_requests;
};

FIXTURE_VARIANT(every_failing_step) {
	const char *name;
	const struct call *call;
};

FIXTURE_SETUP(every_failing_step)
{
	const char *only = getenv("CALL");

	if (only && strcmp(only, variant->name))
		SKIP(exit(255), "not the call that was asked for");
	if (!filesystem_known("afsync_sim"))
		SKIP(exit(255), "no afsync_sim: load its module");
	if (!faults_of_all_kinds_ready())
		SKIP(exit(255), "no fault injection in this kernel");
	self->max_user_requests = parameter("max_user_requests");
	parameter_set("max_user_requests", ENTRIES);
	scene_open(&self->scene);
	/* No page of this program is touched for the first time in a call. */
	need(mlockall(MCL_CURRENT) == 0);
}

FIXTURE_TEARDOWN(every_failing_step)
{
	(void)variant;
	parameter_set("max_user_requests", self->max_user_requests);
	scene_close(&self->scene);
}

TEST_F_TIMEOUT(every_failing_step, leaves_nothing_half_done, LONG_TIMEOUT)
{
	unsigned int round;

	for (round = 0; round < rounds_wanted(); round++)
		ASSERT_TRUE(walk(&self->scene, variant->name, variant->call));
}

/* Followed by a struct call in braces. */
#define CALL(_name)							\
	static const struct call _name##_call;				\
	FIXTURE_VARIANT_ADD(every_failing_step, _name) {		\
		.name = #_name,						\
		.call = &_name##_call,					\
	};								\
	static const struct call _name##_call =

#endif /* _AFSYNC_SELFTEST_WALK_H */
