// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync_faulty - a device mapper target that fails writes by number, and keeps flushes
 *
 * For tests only; loading it taints the kernel with TAINT_TEST. The table is
 * "START LENGTH afsync_faulty DEVICE"; START is 0. Messages:
 *
 *	fail NTH COUNT FROM SECTORS	of the writes from now on that touch these sectors the
 *					NTH fails, and after it COUNT - 1 more; with a COUNT of
 *					0 all
 *	gone				nothing works any more, until mend
 *	mend				all works
 *	hold				flushes are kept from now on
 *	release				the kept ones are sent
 *	count				answers "WRITES FAILED KEPT": the writes to the sectors
 *					since fail, the failed ones, flushes that are kept
 *
 * Reports a cache, so that each sync of a filesystem sends a flush.
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"

struct faulty {
	struct dm_dev *dev;
	spinlock_t lock;		/* all fields below */
	struct bio_list kept;
	unsigned int nr_kept;
	bool hold;
	bool gone;
	sector_t from;
	sector_t to;
	u64 nth;			/* 0: none fails */
	u64 count;
	u64 writes;
	u64 failed;
};

/* Must this write fail? Counts it. */
static bool fails(struct faulty *f, const struct bio *bio)
{
	lockdep_assert_held(&f->lock);

	if (f->gone) {
		f->failed++;
		return true;
	}
	if (!f->nth || bio_op(bio) != REQ_OP_WRITE || !bio_sectors(bio) ||
	    bio->bi_iter.bi_sector >= f->to || bio_end_sector(bio) <= f->from)
		return false;
	f->writes++;
	if (f->writes < f->nth || (f->count && f->writes >= f->nth + f->count))
		return false;
	f->failed++;
	return true;
}

static bool keeps(struct faulty *f, struct bio *bio)
{
	lockdep_assert_held(&f->lock);

	if (!f->hold || !(bio->bi_opf & REQ_PREFLUSH) || bio_sectors(bio))
		return false;
	bio_list_add(&f->kept, bio);
	f->nr_kept++;
	return true;
}

static int faulty_map(struct dm_target *ti, struct bio *bio)
{
	struct faulty *f = ti->private;
	int ret = DM_MAPIO_REMAPPED;

	bio_set_dev(bio, f->dev->bdev);
	spin_lock_irq(&f->lock);
	if (keeps(f, bio))
		ret = DM_MAPIO_SUBMITTED;
	else if (fails(f, bio))
		ret = DM_MAPIO_KILL;
	spin_unlock_irq(&f->lock);
	return ret;
}

static void faulty_release(struct dm_target *ti)
{
	struct faulty *f = ti->private;
	struct bio_list kept;
	struct bio *bio;

	spin_lock_irq(&f->lock);
	f->hold = false;
	kept = f->kept;
	bio_list_init(&f->kept);
	f->nr_kept = 0;
	spin_unlock_irq(&f->lock);

	while ((bio = bio_list_pop(&kept)))
		submit_bio_noacct(bio);
}

static int faulty_fail(struct faulty *f, char **argv)
{
	u64 value[4];
	int i;

	for (i = 0; i < 4; i++)
		if (kstrtou64(argv[i], 10, &value[i]))
			return -EINVAL;
	spin_lock_irq(&f->lock);
	f->nth = value[0];
	f->count = value[1];
	f->from = value[2];
	f->to = value[2] + value[3];
	f->writes = 0;
	f->failed = 0;
	spin_unlock_irq(&f->lock);
	return 0;
}

static void faulty_set(struct faulty *f, bool *what)
{
	spin_lock_irq(&f->lock);
	*what = true;
	spin_unlock_irq(&f->lock);
}

static void faulty_mend(struct faulty *f)
{
	spin_lock_irq(&f->lock);
	f->gone = false;
	f->nth = 0;
	spin_unlock_irq(&f->lock);
}

static int faulty_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			  unsigned int size)
{
	struct faulty *f = ti->private;

	if (argc == 5 && !strcmp(argv[0], "fail"))
		return faulty_fail(f, argv + 1);
	if (argc != 1)
		return -EINVAL;
	if (!strcmp(argv[0], "mend")) {
		faulty_mend(f);
	} else if (!strcmp(argv[0], "gone")) {
		faulty_set(f, &f->gone);
	} else if (!strcmp(argv[0], "hold")) {
		faulty_set(f, &f->hold);
	} else if (!strcmp(argv[0], "release")) {
		faulty_release(ti);
	} else if (!strcmp(argv[0], "count")) {
		spin_lock_irq(&f->lock);
		scnprintf(result, size, "%llu %llu %u", f->writes, f->failed, f->nr_kept);
		spin_unlock_irq(&f->lock);
		/* The message has an answer. */
		return 1;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int faulty_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct faulty *f;
	int ret;

	if (argc != 1 || ti->begin) {
		ti->error = "wants one device, from its start";
		return -EINVAL;
	}
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->lock);
	bio_list_init(&f->kept);
	ret = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &f->dev);
	if (ret) {
		ti->error = "cannot open the device";
		kfree(f);
		return ret;
	}
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->private = f;
	return 0;
}

static void faulty_dtr(struct dm_target *ti)
{
	struct faulty *f = ti->private;

	dm_put_device(ti, f->dev);
	kfree(f);
}

static int faulty_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct faulty *f = ti->private;

	return fn(ti, f->dev, 0, ti->len, data);
}

static struct target_type faulty_type = {
	.name			= "afsync_faulty",
	.version		= { 1, 0, 0 },
	.module			= THIS_MODULE,
	.ctr			= faulty_ctr,
	.dtr			= faulty_dtr,
	.map			= faulty_map,
	/* Suspending or removing the device waits for the kept flushes. */
	.presuspend		= faulty_release,
	.message		= faulty_message,
	.iterate_devices	= faulty_iterate_devices,
};

static int __init faulty_init(void)
{
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	return dm_register_target(&faulty_type);
}

static void __exit faulty_exit(void)
{
	dm_unregister_target(&faulty_type);
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("A device mapper target that fails writes by number, and keeps flushes");
MODULE_LICENSE("GPL");
