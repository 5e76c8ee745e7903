// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that misbehaves when it is loaded, to check that the VM's harness notices.
 * Never installed: scripts/check/harness.sh builds it and loads it in the VM.
 *
 *	insmod afsync_bad.ko what=warn|oops|leak|deadlock|atomic|freed|lockup|race|raw
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "what to do wrong");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(lock);
static DEFINE_RAW_SPINLOCK(raw_lock);
static unsigned long counter;

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

static int count(void *unused)
{
	int i;

	for (i = 0; i < 1000000; i++) {
		counter++;
		barrier();
	}
	return 0;
}

/* Two threads that change a variable without a lock. */
static void race(void)
{
	struct task_struct *other = kthread_create(count, NULL, "afsync_bad");

	if (IS_ERR(other))
		return;
	get_task_struct(other);
	wake_up_process(other);
	count(NULL);
	kthread_stop(other);
	put_task_struct(other);
}

/* With PREEMPT_RT a spinlock may sleep, and must not be taken below a raw one. */
static void sleep_in_raw_lock(void)
{
	raw_spin_lock(&raw_lock);
	spin_lock(&lock);
	spin_unlock(&lock);
	raw_spin_unlock(&raw_lock);
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
	} else if (!strcmp(what, "race")) {
		race();
	} else if (!strcmp(what, "raw")) {
		sleep_in_raw_lock();
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
