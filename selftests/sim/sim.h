/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * afsync_sim: shared declarations of its files
 *
 *	fs.c	the filesystems: mounting, names, inodes; the module
 *	file.c	an open file: fsync, read, write, close, and the commands of a test
 *	gate.c	places where calls stop
 */
#ifndef _SIM_H
#define _SIM_H

#include <linux/fs.h>
#include <linux/wait.h>

#include "afsync_sim.h"

/* The origin of something that ends when this process closes this open file. */
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
	bool firm;			/* while held: even a killed thread stays */
	bool one_user;			/* while held: only calls that run as @user stop */
	kuid_t user;
	u32 steps;			/* calls that may pass although held */
	u32 started;
	u32 finished;
	u32 fail_count;
	int fail_error;			/* negative */
};

/* Referenced by i_private as long as the inode lives. */
struct sim_inode {
	struct sim_gate fsync;
	struct sim_gate release;
	struct sim_gate read;
	struct sim_gate write;
	struct list_head pinned;	/* in sim_super.pinned, except for the root */
	struct dentry *dentry;		/* the pinned dentry */
	spinlock_t lock;		/* all fields below */
	struct sim_holder dio_holder;	/* valid while dio is not 0 */
	u32 dio;
	u64 writes;
	u32 nr_calls;
	struct sim_call calls[SIM_NR_CALLS];
};

/* Referenced by s_fs_info as long as the superblock lives. */
struct sim_super {
	struct sim_gate syncfs;
	spinlock_t lock;
	struct list_head pinned;	/* the inodes of all names; under the lock */
};

/* fs.c */
struct sim_gate *sim_gate_find(struct inode *inode, u32 which);

/* file.c */
extern const struct file_operations sim_dir_operations;
extern const struct file_operations sim_file_operations;

/* gate.c */
struct sim_holder sim_holder(const struct file *file);
bool sim_holder_is(const struct sim_holder *holder, const struct file *file,
		   fl_owner_t owner);
void sim_gate_init(struct sim_gate *gate);
int sim_gate_pass(struct sim_gate *gate);
void sim_gate_flush(struct sim_gate *gate, const struct file *file, fl_owner_t owner);
long sim_gate_ioctl(struct sim_gate *gate, const struct file *file, unsigned int cmd,
		    const struct sim_gate_arg *arg);

#endif /* _SIM_H */
