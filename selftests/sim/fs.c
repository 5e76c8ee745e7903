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
 * Every name exists: a lookup creates it, as a directory if it begins with "dir",
 * otherwise as an empty file, and it stays until umount. So there is no create, mkdir or
 * unlink, whose prototypes differ between kernels. afsync_sim.h has the commands.
 */
#include <linux/fs_context.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "compat.h"
#include "sim.h"

static const struct inode_operations sim_dir_inode_operations;
#define SIM_MAGIC	0x4146534d

static struct file_system_type sim_net_type;
/* ram_aops with a ->direct_IO; filled in by sim_init(). */
static struct address_space_operations sim_net_aops __ro_after_init;

/* Gate number which, of an inode or of its filesystem, or NULL. */
struct sim_gate *sim_gate_find(struct inode *inode, u32 which)
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
	case SIM_GATE_READ:
		return &si->read;
	case SIM_GATE_WRITE:
		return &si->write;
	default:
		return NULL;
	}
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
	sim_gate_init(&si->read);
	sim_gate_init(&si->write);
	spin_lock_init(&si->lock);
	INIT_LIST_HEAD(&si->pinned);
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
	struct sim_super *ss = dir->i_sb->s_fs_info;
	struct sim_inode *si;
	struct inode *inode;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	inode = sim_inode_new(dir->i_sb, is_dir ? S_IFDIR | 0777 : S_IFREG | 0666);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	d_add(dentry, inode);
	/* sim_unpin() drops this one; until then the file stays */
	si = inode->i_private;
	si->dentry = dget(dentry);
	spin_lock(&ss->lock);
	list_add(&si->pinned, &ss->pinned);
	spin_unlock(&ss->lock);
	return NULL;
}

/* At umount, when no more lookups can come. */
static void sim_unpin(struct sim_super *ss)
{
	struct sim_inode *si, *next;

	list_for_each_entry_safe(si, next, &ss->pinned, pinned) {
		list_del_init(&si->pinned);
		/* This may free si. */
		dput(si->dentry);
	}
}

/* An inode is dropped with its last name. */
static int sim_drop_inode(struct inode *inode)
{
	return 1;
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

static int sim_sync_fs(struct super_block *sb, int wait)
{
	struct sim_super *ss = sb->s_fs_info;

	return wait ? sim_gate_pass(&ss->syncfs) : 0;
}

static const struct super_operations sim_super_operations = {
	.statfs		= simple_statfs,
	.drop_inode	= sim_drop_inode,
	.evict_inode	= sim_evict_inode,
	.sync_fs	= sim_sync_fs,
};

static int sim_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct sim_super *ss = kzalloc(sizeof(*ss), GFP_KERNEL);

	if (!ss)
		return -ENOMEM;
	sim_gate_init(&ss->syncfs);
	spin_lock_init(&ss->lock);
	INIT_LIST_HEAD(&ss->pinned);
	sb->s_fs_info = ss;
	/* Callers may run its syncs themselves, as on ext4; not those of a server's filesystem. */
	sb->s_magic = sb->s_type->fs_flags & FS_REQUIRES_DEV ? EXT4_SUPER_MAGIC : SIM_MAGIC;
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

	if (ss)
		sim_unpin(ss);
	kill_anon_super(sb);
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
