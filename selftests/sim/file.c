// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open file or directory of the test filesystems: fsync, read and write that stop at
 * gates, fsync that records the state that it saw, and the commands of a test.
 *
 * ->flush of the process that held a gate through a descriptor ends that hold: it runs
 * for all descriptors of a dying process before any ->release does, and a ->release (of a
 * ring) may be waiting for a held call.
 */
#include <linux/cred.h>
#include <linux/ioprio.h>
#include <linux/ktime.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "sim.h"

static atomic_t sim_open_ids = ATOMIC_INIT(0);

static void sim_dio_begin(struct file *file)
{
	struct sim_inode *si = file_inode(file)->i_private;

	spin_lock(&si->lock);
	si->dio_holder = sim_holder(file);
	si->dio++;
	spin_unlock(&si->lock);
	inode_dio_begin(file_inode(file));
}

static void sim_dio_end(struct inode *inode)
{
	struct sim_inode *si = inode->i_private;
	u32 nr;

	spin_lock(&si->lock);
	nr = si->dio;
	si->dio = 0;
	spin_unlock(&si->lock);
	while (nr--)
		inode_dio_end(inode);
}

static long sim_stats_copy(struct inode *inode, struct sim_stats __user *to)
{
	struct sim_inode *si = inode->i_private;
	struct sim_stats *stats;
	struct sim_gate *gate;
	int i, ret;

	stats = kzalloc(sizeof(*stats), GFP_KERNEL);
	if (!stats)
		return -ENOMEM;
	for (i = 0; i < SIM_NR_GATES; i++) {
		gate = sim_gate_find(inode, i);
		spin_lock(&gate->lock);
		stats->started[i] = gate->started;
		stats->finished[i] = gate->finished;
		spin_unlock(&gate->lock);
	}
	spin_lock(&si->lock);
	stats->dio = atomic_read(&inode->i_dio_count);
	memcpy(stats->calls, si->calls, sizeof(stats->calls));
	spin_unlock(&si->lock);

	ret = copy_to_user(to, stats, sizeof(*stats)) ? -EFAULT : 0;
	kfree(stats);
	return ret;
}

static long sim_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	void __user *user = (void __user *)value;
	struct inode *inode = file_inode(file);
	struct sim_gate_arg arg;
	struct sim_gate *gate;

	switch (cmd) {
	case SIM_IOC_HOLD:
	case SIM_IOC_HOLD_USER:
	case SIM_IOC_RELEASE:
	case SIM_IOC_STEP:
	case SIM_IOC_FAIL:
	case SIM_IOC_WAIT_STARTED:
		if (copy_from_user(&arg, user, sizeof(arg)))
			return -EFAULT;
		gate = sim_gate_find(inode, arg.gate);
		return gate ? sim_gate_ioctl(gate, file, cmd, &arg) : -EINVAL;
	case SIM_IOC_WB_ERR:
		if (!value || value > MAX_ERRNO)
			return -EINVAL;
		mapping_set_error(inode->i_mapping, -(int)value);
		return 0;
	case SIM_IOC_DIO:
		if (value)
			sim_dio_begin(file);
		else
			sim_dio_end(inode);
		return 0;
	case SIM_IOC_OPEN_ID:
		return S_ISREG(inode->i_mode) ? (long)file->private_data : 0;
	case SIM_IOC_STATS:
		return sim_stats_copy(inode, user);
	default:
		return -ENOTTY;
	}
}

/* Runs in a process that closes a descriptor: ends the holds of that process through it. */
static int sim_flush(struct file *file, fl_owner_t owner)
{
	struct inode *inode = file_inode(file);
	struct sim_inode *si = inode->i_private;
	bool mine;
	int i;

	for (i = 0; i < SIM_NR_GATES; i++)
		sim_gate_flush(sim_gate_find(inode, i), file, owner);
	spin_lock(&si->lock);
	mine = si->dio && sim_holder_is(&si->dio_holder, file, owner);
	spin_unlock(&si->lock);
	if (mine)
		sim_dio_end(inode);
	return 0;
}

static int sim_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct sim_inode *si = file_inode(file)->i_private;
	struct sim_call *call;
	int ret, err;

	spin_lock(&si->lock);
	call = &si->calls[si->nr_calls++ % SIM_NR_CALLS];
	*call = (struct sim_call) {
		.begun_ns	= ktime_get_ns(),
		.start		= start,
		.end		= end,
		.writes		= si->writes,
		.datasync	= !!datasync,
		.fsuid		= from_kuid(&init_user_ns, current_fsuid()),
		.fsgid		= from_kgid(&init_user_ns, current_fsgid()),
		.ioprio		= get_current_ioprio(),
		.pid		= task_pid_nr(current),
		.noio		= !!(current->flags & PF_MEMALLOC_NOIO),
		.local_throttle	= !!(current->flags & PF_LOCAL_THROTTLE),
	};
	if (S_ISREG(file_inode(file)->i_mode))
		call->open_id = (long)file->private_data;
	spin_unlock(&si->lock);

	ret = sim_gate_pass(&si->fsync);
	/* Local filesystems do the same: they report a writeback error here. */
	err = file_write_and_wait_range(file, start, end);
	if (!ret)
		ret = err;

	/* With over SIM_NR_CALLS at once this may be a later call's: an error of the test. */
	spin_lock(&si->lock);
	call->ended_ns = ktime_get_ns();
	call->result = ret;
	spin_unlock(&si->lock);
	return ret;
}

static ssize_t sim_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct sim_inode *si = file_inode(iocb->ki_filp)->i_private;
	ssize_t ret = sim_gate_pass(&si->read);

	return ret ?: generic_file_read_iter(iocb, to);
}

static ssize_t sim_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct sim_inode *si = file_inode(iocb->ki_filp)->i_private;
	ssize_t ret;

	ret = sim_gate_pass(&si->write);
	if (ret)
		return ret;
	ret = generic_file_write_iter(iocb, from);
	spin_lock(&si->lock);
	si->writes++;
	spin_unlock(&si->lock);
	return ret;
}

static int sim_open(struct inode *inode, struct file *file)
{
	file->private_data = (void *)(long)atomic_inc_return(&sim_open_ids);
	return 0;
}

static int sim_release(struct inode *inode, struct file *file)
{
	struct sim_inode *si = inode->i_private;

	return sim_gate_pass(&si->release);
}

static int sim_dir_release(struct inode *inode, struct file *file)
{
	struct sim_inode *si = inode->i_private;

	dcache_dir_close(inode, file);
	return sim_gate_pass(&si->release);
}

const struct file_operations sim_dir_operations = {
	.owner		= THIS_MODULE,
	.open		= dcache_dir_open,
	.flush		= sim_flush,
	.release	= sim_dir_release,
	.llseek		= dcache_dir_lseek,
	.read		= generic_read_dir,
	.iterate_shared	= dcache_readdir,
	.fsync		= sim_fsync,
	.unlocked_ioctl	= sim_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

const struct file_operations sim_file_operations = {
	.owner		= THIS_MODULE,
	.open		= sim_open,
	.flush		= sim_flush,
	.release	= sim_release,
	.llseek		= generic_file_llseek,
	.read_iter	= sim_read_iter,
	.write_iter	= sim_write_iter,
	.mmap		= generic_file_mmap,
	.fsync		= sim_fsync,
	.unlocked_ioctl	= sim_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
