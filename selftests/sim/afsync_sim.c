// SPDX-License-Identifier: GPL-2.0-only
/*
 * afsync_sim - filesystems whose fsync blocks, fails and counts on command
 *
 * For tests only; loading it taints the kernel with TAINT_TEST. It registers two
 * filesystems in memory, so that no test has to depend on timing:
 *
 *	afsync_sim	says that it needs a block device, as a local one does (it
 *			takes none: mount it with any source)
 *	afsync_simnet	does not, and says that it does direct I/O, as network ones do
 *
 *	mount -t afsync_sim none /mnt
 *
 * Every name exists: looking it up makes it, as a directory if it begins with
 * "dir", else as an empty file, and it stays until umount. So there is no create,
 * mkdir or unlink, whose prototypes differ between kernels.
 *
 * afsync_sim.h has the commands. A call that is held sleeps killably, on behalf of
 * an open file; that pins the mount, and the mount pins the module. What a
 * descriptor holds is let go by ->flush of the process that held it: it runs for
 * all descriptors of a dying process before any ->release does, and a ->release
 * (of a ring) may be waiting for a held call.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/ioprio.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "afsync_sim.h"

#define SIM_MAGIC	0x4146534d

/* Who began something that ends when this process closes this open file. */
struct sim_holder {
	const struct file *file;	/* compared, never followed */
	fl_owner_t owner;
};

/* A place where calls stop. */
struct sim_gate {
	wait_queue_head_t wait;		/* held calls, and SIM_IOC_WAIT_STARTED */
	spinlock_t lock;		/* all fields below */
	struct sim_holder holder;	/* valid while held */
	bool held;
	u32 steps;			/* calls that may pass although held */
	u32 started;
	u32 finished;
	u32 fail_count;
	int fail_error;			/* negative */
};

/* Hangs on i_private as long as the inode lives. */
struct sim_inode {
	struct sim_gate fsync;
	struct sim_gate release;
	spinlock_t lock;		/* all fields below */
	struct sim_holder dio_holder;	/* valid while dio is not 0 */
	u32 dio;
	u64 writes;
	u32 nr_calls;
	struct sim_call calls[SIM_NR_CALLS];
};

/* Hangs on s_fs_info as long as the superblock lives. */
struct sim_super {
	struct sim_gate syncfs;
};

static const struct inode_operations sim_dir_inode_operations;
static const struct file_operations sim_dir_operations;
static const struct file_operations sim_file_operations;
static struct file_system_type sim_net_type;
/* ram_aops with a ->direct_IO; filled in by sim_init(). */
static struct address_space_operations sim_net_aops __ro_after_init;
static atomic_t sim_open_ids = ATOMIC_INIT(0);

static struct sim_holder sim_holder(const struct file *file)
{
	return (struct sim_holder) { .file = file, .owner = current->files };
}

static bool sim_holder_is(const struct sim_holder *holder,
			  const struct file *file, fl_owner_t owner)
{
	return holder->file == file && holder->owner == owner;
}

static void sim_gate_init(struct sim_gate *gate)
{
	init_waitqueue_head(&gate->wait);
	spin_lock_init(&gate->lock);
}

static struct sim_gate *sim_gate_find(struct inode *inode, u32 which)
{
	struct sim_inode *si = inode->i_private;
	struct sim_super *ss = inode->i_sb->s_fs_info;

	switch (which) {
	case SIM_GATE_FSYNC:
		return &si->fsync;
	case SIM_GATE_RELEASE:
		return &si->release;
	case SIM_GATE_SYNCFS:
		return &ss->syncfs;
	default:
		return NULL;
	}
}

/* True once the caller may pass; uses up a step if it needs one. */
static bool sim_gate_try(struct sim_gate *gate)
{
	bool pass;

	spin_lock(&gate->lock);
	pass = !gate->held || gate->steps;
	if (gate->held && gate->steps)
		gate->steps--;
	spin_unlock(&gate->lock);
	return pass;
}

/* The calls' side of a gate: returns 0, or the error to fail with. */
static int sim_gate_pass(struct sim_gate *gate)
{
	int ret;

	spin_lock(&gate->lock);
	gate->started++;
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);

	ret = wait_event_killable(gate->wait, sim_gate_try(gate)) ? -EINTR : 0;

	spin_lock(&gate->lock);
	gate->finished++;
	if (!ret && gate->fail_count) {
		gate->fail_count--;
		ret = gate->fail_error;
	}
	spin_unlock(&gate->lock);
	return ret;
}

static void sim_gate_open(struct sim_gate *gate)
{
	spin_lock(&gate->lock);
	gate->held = false;
	gate->steps = 0;
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);
}

static bool sim_gate_has_started(struct sim_gate *gate, u32 count)
{
	return READ_ONCE(gate->started) >= count;
}

static long sim_gate_ioctl(struct file *file, unsigned int cmd,
			   const struct sim_gate_arg *arg)
{
	struct sim_gate *gate = sim_gate_find(file_inode(file), arg->gate);

	if (!gate || arg->error < 0 || arg->error > MAX_ERRNO)
		return -EINVAL;
	if (cmd == SIM_IOC_WAIT_STARTED)
		return wait_event_killable(gate->wait,
					   sim_gate_has_started(gate, arg->count));
	if (cmd == SIM_IOC_RELEASE) {
		sim_gate_open(gate);
		return 0;
	}

	spin_lock(&gate->lock);
	switch (cmd) {
	case SIM_IOC_HOLD:
		gate->holder = sim_holder(file);
		gate->held = true;
		gate->steps = 0;
		break;
	case SIM_IOC_STEP:
		gate->steps += arg->count;
		break;
	case SIM_IOC_FAIL:
		gate->fail_count = arg->count;
		gate->fail_error = -arg->error;
		break;
	}
	spin_unlock(&gate->lock);
	wake_up_all(&gate->wait);
	return 0;
}

static u32 sim_dio_begin(struct file *file)
{
	struct sim_inode *si = file_inode(file)->i_private;

	spin_lock(&si->lock);
	si->dio_holder = sim_holder(file);
	si->dio++;
	spin_unlock(&si->lock);
	inode_dio_begin(file_inode(file));
	return 0;
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

	switch (cmd) {
	case SIM_IOC_HOLD:
	case SIM_IOC_RELEASE:
	case SIM_IOC_STEP:
	case SIM_IOC_FAIL:
	case SIM_IOC_WAIT_STARTED:
		if (copy_from_user(&arg, user, sizeof(arg)))
			return -EFAULT;
		return sim_gate_ioctl(file, cmd, &arg);
	case SIM_IOC_WB_ERR:
		if (!value || value > MAX_ERRNO)
			return -EINVAL;
		mapping_set_error(inode->i_mapping, -(int)value);
		return 0;
	case SIM_IOC_DIO:
		if (value)
			return sim_dio_begin(file);
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

/* Runs in a process that closes a descriptor: ends what it holds through it. */
static int sim_flush(struct file *file, fl_owner_t owner)
{
	struct inode *inode = file_inode(file);
	struct sim_inode *si = inode->i_private;
	struct sim_gate *gate;
	bool mine;
	int i;

	for (i = 0; i < SIM_NR_GATES; i++) {
		gate = sim_gate_find(inode, i);
		spin_lock(&gate->lock);
		mine = gate->held && sim_holder_is(&gate->holder, file, owner);
		spin_unlock(&gate->lock);
		if (mine)
			sim_gate_open(gate);
	}
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
	};
	if (S_ISREG(file_inode(file)->i_mode))
		call->open_id = (long)file->private_data;
	spin_unlock(&si->lock);

	ret = sim_gate_pass(&si->fsync);
	/* As local filesystems do: this is where a writeback error is reported. */
	err = file_write_and_wait_range(file, start, end);
	if (!ret)
		ret = err;

	/* With over SIM_NR_CALLS at once this may be a later call's: a test's fault. */
	spin_lock(&si->lock);
	call->ended_ns = ktime_get_ns();
	call->result = ret;
	spin_unlock(&si->lock);
	return ret;
}

static int sim_sync_fs(struct super_block *sb, int wait)
{
	struct sim_super *ss = sb->s_fs_info;

	return wait ? sim_gate_pass(&ss->syncfs) : 0;
}

static ssize_t sim_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct sim_inode *si = file_inode(iocb->ki_filp)->i_private;
	ssize_t ret = generic_file_write_iter(iocb, from);

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

static struct inode *sim_inode_new(struct super_block *sb, umode_t mode)
{
	struct sim_inode *si = kzalloc(sizeof(*si), GFP_KERNEL);
	struct inode *inode = si ? new_inode(sb) : NULL;

	if (!inode) {
		kfree(si);
		return NULL;
	}
	sim_gate_init(&si->fsync);
	sim_gate_init(&si->release);
	spin_lock_init(&si->lock);
	inode->i_private = si;
	inode->i_ino = get_next_ino();
	inode->i_mode = mode;
	mapping_set_unevictable(inode->i_mapping);
	if (S_ISDIR(mode)) {
		set_nlink(inode, 2);
		inode->i_op = &sim_dir_inode_operations;
		inode->i_fop = &sim_dir_operations;
	} else {
		inode->i_fop = &sim_file_operations;
		inode->i_mapping->a_ops = &ram_aops;
		if (sb->s_type == &sim_net_type)
			inode->i_mapping->a_ops = &sim_net_aops;
	}
	return inode;
}

/* Every name exists. */
static struct dentry *sim_lookup(struct inode *dir, struct dentry *dentry,
				 unsigned int flags)
{
	bool is_dir = !strncmp(dentry->d_name.name, "dir", 3);
	struct inode *inode;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	inode = sim_inode_new(dir->i_sb, is_dir ? S_IFDIR | 0777 : S_IFREG | 0666);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	d_add(dentry, inode);
	/* kill_litter_super() drops this one; until then the file stays */
	dget(dentry);
	return NULL;
}

static void sim_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	kfree(inode->i_private);
}

static const struct inode_operations sim_dir_inode_operations = {
	.lookup		= sim_lookup,
};

static const struct file_operations sim_dir_operations = {
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

static const struct file_operations sim_file_operations = {
	.owner		= THIS_MODULE,
	.open		= sim_open,
	.flush		= sim_flush,
	.release	= sim_release,
	.llseek		= generic_file_llseek,
	.read_iter	= generic_file_read_iter,
	.write_iter	= sim_write_iter,
	.mmap		= generic_file_mmap,
	.fsync		= sim_fsync,
	.unlocked_ioctl	= sim_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static const struct super_operations sim_super_operations = {
	.statfs		= simple_statfs,
	.drop_inode	= generic_delete_inode,
	.evict_inode	= sim_evict_inode,
	.sync_fs	= sim_sync_fs,
};

static int sim_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct sim_super *ss = kzalloc(sizeof(*ss), GFP_KERNEL);

	if (!ss)
		return -ENOMEM;
	sim_gate_init(&ss->syncfs);
	sb->s_fs_info = ss;
	sb->s_magic = SIM_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_op = &sim_super_operations;
	sb->s_root = d_make_root(sim_inode_new(sb, S_IFDIR | 0777));
	return sb->s_root ? 0 : -ENOMEM;
}

static int sim_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, sim_fill_super);
}

static const struct fs_context_operations sim_context_operations = {
	.get_tree	= sim_get_tree,
};

static int sim_init_fs_context(struct fs_context *fc)
{
	fc->ops = &sim_context_operations;
	return 0;
}

static void sim_kill_sb(struct super_block *sb)
{
	struct sim_super *ss = sb->s_fs_info;

	kill_litter_super(sb);
	kfree(ss);
}

static struct file_system_type sim_type = {
	.owner			= THIS_MODULE,
	.name			= "afsync_sim",
	.fs_flags		= FS_REQUIRES_DEV,
	.init_fs_context	= sim_init_fs_context,
	.kill_sb		= sim_kill_sb,
};

static struct file_system_type sim_net_type = {
	.owner			= THIS_MODULE,
	.name			= "afsync_simnet",
	.init_fs_context	= sim_init_fs_context,
	.kill_sb		= sim_kill_sb,
};

static int __init sim_init(void)
{
	int ret;

	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	sim_net_aops = ram_aops;
	sim_net_aops.direct_IO = noop_direct_IO;
	ret = register_filesystem(&sim_type);
	if (ret)
		return ret;
	ret = register_filesystem(&sim_net_type);
	if (ret)
		unregister_filesystem(&sim_type);
	return ret;
}

static void __exit sim_exit(void)
{
	unregister_filesystem(&sim_net_type);
	unregister_filesystem(&sim_type);
}

module_init(sim_init);
module_exit(sim_exit);

MODULE_DESCRIPTION("Filesystems whose fsync blocks, fails and counts on command");
MODULE_LICENSE("GPL");
