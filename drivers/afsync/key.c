// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which requests wait in one queue, and which may be served by one sync. Only looks at files
 * and credentials; takes no lock.
 */
#include <linux/magic.h>

#include "afsync.h"
#include "compat.h"
#include "fileq.h"

/*
 * Does a sync of this file act on its inode? That is so for files and directories of
 * filesystems on a block device, and there one sync serves all open files of
 * the inode. Not on FUSE, whose sync names the open file, even if it is on a block
 * device; nor on overlay and network filesystems.
 */
bool afsync_is_local(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	if (!S_ISREG(inode->i_mode) && !S_ISDIR(inode->i_mode))
		return false;
	return inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV &&
	       inode->i_sb->s_magic != FUSE_SUPER_MAGIC;
}

static struct afsync_key key_in(const struct super_block *super, enum afsync_scope scope,
				const void *object)
{
	return (struct afsync_key) {
		.scope	= scope,
		.object	= object,
		.domain	= super,
		.dev	= super->s_dev,
		.type	= super->s_type->name,
	};
}

/*
 * The key of a request. For a block device the inode is the device's, whichever
 * node it was opened through, and the device is its own domain, since all block devices
 * have the same superblock.
 */
struct afsync_key afsync_key_of(struct file *file, u32 op)
{
	const struct super_block *super = file_inode(file)->i_sb;
	const struct inode *inode = file->f_mapping->host;

	if (op == AFSYNC_OP_SYNCFS) {
		super = file->f_path.dentry->d_sb;
		return key_in(super, AFSYNC_SCOPE_SUPER, super);
	}
	if (S_ISBLK(inode->i_mode))
		return (struct afsync_key) {
			.scope	= AFSYNC_SCOPE_INODE,
			.object	= inode,
			.domain	= inode,
			.dev	= inode->i_rdev,
			.type	= inode->i_sb->s_type->name,
		};
	if (afsync_is_local(file))
		return key_in(super, AFSYNC_SCOPE_INODE, inode);
	return key_in(super, AFSYNC_SCOPE_FILE, file);
}

/*
 * The credentials by which filesystems identify a user. Groups are the same if they are the
 * same object, as they are in threads and after fork(); comparing lists of them would
 * take too long under a lock.
 */
bool afsync_same_identity(const struct cred *a, const struct cred *b)
{
	return uid_eq(a->fsuid, b->fsuid) && gid_eq(a->fsgid, b->fsgid) &&
	       a->group_info == b->group_info && a->user_ns == b->user_ns;
}

/*
 * May the thread of a program run the sync? Only where no signal can end the sync, as on some
 * filesystems: these are the ones that we checked (ext2 and ext3 have the
 * number of ext4). The thread sleeps as in fsync(2), and cannot be killed meanwhile. And
 * only with a descriptor that may write to the file: other requests of the user for that
 * file wait for the thread.
 */
bool afsync_caller_may_sync(enum afsync_scope scope, const struct file *file)
{
	umode_t mode = file->f_mapping->host->i_mode;

	if (!(file->f_mode & FMODE_WRITE) || scope == AFSYNC_SCOPE_SUPER)
		return false;
	if (S_ISBLK(mode))
		return true;
	if (!S_ISREG(mode))
		return false;
	switch (file_inode(file)->i_sb->s_magic) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
		return scope == AFSYNC_SCOPE_INODE;
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}
