// SPDX-License-Identifier: GPL-2.0-only
/*
 * One open of /dev/afsync: open, release, mmap and poll. The open file is
 * the ring; file->private_data is NULL until AFSYNC_IOC_SETUP publishes it there, and
 * does not change afterwards.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>

#include "afsync.h"
#include "compat.h"

static int afsync_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;	/* misc_open() left the miscdevice here */
	afsync_unsigned_offset(file);
	return nonseekable_open(inode, file);
}

/*
 * The last close, or the exit of the last process of the ring's owner, returns when
 * nothing of the ring is left in the kernel. No thread can submit, wait, map or poll any more:
 * ioctl and poll hold the file, and so does every mapping. These may still use the ring,
 * and this is why each ends:
 *
 *	held, queued requests	cancelled here; the reaper drops their files
 *	cancelled requests	the reaper will complete them
 *	running requests	their sync ends when the filesystem answers
 *	attached AIO		holds the open, so there is none
 *	workers			use the ring only while they have a request of it
 *
 * A descriptor can travel, though: a kernel thread may drop it with a socket that carried
 * it, and a service may receive one that it did not expect. Neither may have to wait for
 * the syncs of another user; then the last request frees the ring. Until then the ring holds
 * the module, which could otherwise be unloaded, and would have to wait.
 */
static bool is_own_ring(const struct afsync_ring *ring)
{
	if (current->flags & PF_KTHREAD)
		return false;
	return task_tgid(current) == ring->owner ||
	       uid_eq(current_uid(), ring->owner_uid);
}

static int afsync_release(struct inode *inode, struct file *file)
{
	struct afsync_ring *ring = file->private_data;

	if (!ring)
		return 0;

	afsync_cancel_all(ring);
	if (is_own_ring(ring)) {
		afsync_ring_put_wait(ring);
	} else {
		__module_get(THIS_MODULE);
		ring->pins_module = true;
		afsync_ring_put(ring, 1);
	}
	return 0;
}

static int afsync_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	if (!ring)
		return -ENXIO;
	return afsync_ring_map(ring, vma);
}

/*
 * An entry posted before poll_wait() is seen here; one posted after it wakes the
 * poller, since both this and afsync_ring_notify() take ring->lock: see wait.c.
 */
static __poll_t afsync_poll(struct file *file, struct poll_table_struct *pt)
{
	struct afsync_ring *ring = afsync_file_ring(file);

	if (!ring)
		return EPOLLERR;

	poll_wait(file, &ring->wait, pt);
	return afsync_ring_unread(ring) ? EPOLLIN | EPOLLRDNORM : 0;
}

const struct file_operations afsync_fops = {
	.owner		= THIS_MODULE,
	AFSYNC_FOP_FLAGS
	.open		= afsync_open,
	.release	= afsync_release,
	.write_iter	= afsync_write_iter,
	.unlocked_ioctl	= afsync_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= afsync_mmap,
	.poll		= afsync_poll,
	.show_fdinfo	= afsync_show_fdinfo,
};
