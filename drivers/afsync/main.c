// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its parameters, its device, and everything that has to exist before the first
 * open and after the last close.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "afsync.h"
#include "fileq.h"
#include "fs_stats.h"
#include "slot.h"
#include "stats.h"

#define CREATE_PARAM_OPS(_name, _min, _max)					\
static int _name##_set(const char *val, const struct kernel_param *kp)		\
{										\
	return param_set_uint_minmax(val, kp, _min, _max);			\
}										\
static const struct kernel_param_ops _name##_ops = {				\
	.set	= _name##_set,							\
	.get	= param_get_uint,						\
}

/*
 * With more, they wait for each other: each commit of ext4's journal wakes all threads that
 * wait for one, and beyond about 64 these wake-ups take more time than the commits.
 */
unsigned int afsync_workers_per_fs = 64;
CREATE_PARAM_OPS(workers_per_fs, 1, 512);	/* what a workqueue takes */
module_param_cb(workers_per_fs, &workers_per_fs_ops, &afsync_workers_per_fs, 0444);
MODULE_PARM_DESC(workers_per_fs,
		 "Most syncs of a user that run at once on one filesystem, 1 to 512 (default 64)");

/*
 * Each holds a kernel thread while it runs, and a user can have many filesystems that never
 * answer. Root has a limit of its own: most services of a machine are root.
 */
unsigned int afsync_max_user_syncs = 128;
CREATE_PARAM_OPS(max_user_syncs, 1, 512);
module_param_cb(max_user_syncs, &max_user_syncs_ops, &afsync_max_user_syncs, 0644);
MODULE_PARM_DESC(max_user_syncs,
		 "Most syncs of a user that run at once, 1 to 512 (default 128)");

unsigned int afsync_max_root_syncs = 512;
CREATE_PARAM_OPS(max_root_syncs, 1, 512);
module_param_cb(max_root_syncs, &max_root_syncs_ops, &afsync_max_root_syncs, 0644);
MODULE_PARM_DESC(max_root_syncs,
		 "Most syncs of root that run at once, 1 to 512 (default 512)");

unsigned int afsync_max_entries = AFSYNC_MAX_ENTRIES;
CREATE_PARAM_OPS(max_entries, 1, AFSYNC_MAX_ENTRIES);
module_param_cb(max_entries, &max_entries_ops, &afsync_max_entries, 0644);
MODULE_PARM_DESC(max_entries,
		 "Most entries, so requests in flight, of a new ring, 1 to 32768 (default 32768)");

unsigned int afsync_max_user_requests = 65536;
CREATE_PARAM_OPS(max_user_requests, 1, INT_MAX);
module_param_cb(max_user_requests, &max_user_requests_ops,
		&afsync_max_user_requests, 0644);
MODULE_PARM_DESC(max_user_requests,
		 "Most requests in flight of one user, over all rings (default 65536)");

static struct miscdevice afsync_miscdev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "afsync",
	.mode	= 0666,
	.fops	= &afsync_fops,
	.groups	= afsync_stats_groups,
};

static int __init afsync_init(void)
{
	int ret;

	ret = afsync_fileq_init();
	if (ret)
		return ret;

	ret = afsync_slots_init();
	if (ret)
		goto exit_fileq;

	ret = afsync_fs_init();
	if (ret)
		goto exit_slots;

	/* The point of no return: from here on programs can open the device. */
	ret = misc_register(&afsync_miscdev);
	if (ret)
		goto exit_fs;

	return 0;

exit_fs:
	afsync_fs_exit();
exit_slots:
	afsync_slots_exit();
exit_fileq:
	afsync_fileq_exit();
	return ret;
}

/*
 * Every open of the device holds the module, and so does a ring that ends without its last
 * close: no request exists any more.
 */
static void __exit afsync_exit(void)
{
	misc_deregister(&afsync_miscdev);
	afsync_attach_exit();
	afsync_user_exit();
	afsync_fs_exit();
	afsync_slots_exit();
	afsync_fileq_exit();
}

module_init(afsync_init);
module_exit(afsync_exit);

MODULE_DESCRIPTION("Asynchronous fsync for every program");
MODULE_AUTHOR("The afsync authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("1.4.0");
