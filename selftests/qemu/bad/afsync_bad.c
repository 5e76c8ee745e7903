// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that misbehaves when it is loaded, to check that the VM's harness notices.
 * Never installed: scripts/check/harness.sh builds it and loads it in the VM.
 *
 *	insmod afsync_bad.ko what=warn|oops|leak|deadlock|atomic|freed|lockup
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "what to do wrong");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(lock);

/* One after the other: never a real deadlock, but lockdep detects it. */
static void take_in_both_orders(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void leak(void)
{
	int i;

	/* Many, since a stale pointer on a stack may hide one or two. */
	for (i = 0; i < 100; i++) {
		void *volatile lost = kmalloc(200, GFP_KERNEL);

		(void)lost;
	}
}

static void use_freed(void)
{
	char *volatile p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	kfree(p);
	WRITE_ONCE(p[8], 1);
}

static int __init bad_init(void)
{
	if (!strcmp(what, "warn")) {
		WARN(1, "afsync_bad: a warning\n");
	} else if (!strcmp(what, "oops")) {
		WRITE_ONCE(*(int *)ERR_PTR(-EFAULT), 0);
	} else if (!strcmp(what, "leak")) {
		leak();
	} else if (!strcmp(what, "deadlock")) {
		take_in_both_orders();
	} else if (!strcmp(what, "atomic")) {
		spin_lock(&lock);
		msleep(20);
		spin_unlock(&lock);
	} else if (!strcmp(what, "freed")) {
		use_freed();
	} else if (!strcmp(what, "lockup")) {
		local_irq_disable();
		for (;;)
			cpu_relax();
	} else {
		return -EINVAL;
	}
	return 0;
}
module_init(bad_init);

static void __exit bad_exit(void)
{
}
module_exit(bad_exit);

MODULE_DESCRIPTION("Misbehaves on purpose, to test the test harness");
MODULE_LICENSE("GPL");
