/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, in the system "afsync". Integers only. A running number identifies a
 * ring, the device and inode number a file.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM afsync

#if !defined(_AFSYNC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _AFSYNC_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

#include "afsync.h"

#define show_afsync_op(op)				\
	__print_symbolic(op,				\
		{ AFSYNC_OP_FSYNC,	"fsync" },	\
		{ AFSYNC_OP_FDATASYNC,	"fdatasync" },	\
		{ AFSYNC_OP_SYNCFS,	"syncfs" })

DECLARE_EVENT_CLASS(afsync_request,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req),
	TP_STRUCT__entry(
		__field(u32, ring)
		__field(u64, user_data)
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u32, op)
		__field(u32, flags)
		__field(u64, start)
		__field(u64, end)
	),
	TP_fast_assign(
		const struct inode *inode = file_inode(req->file);

		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->op = req->op;
		__entry->flags = req->flags;
		__entry->start = req->start;
		__entry->end = req->end;
	),
	TP_printk("ring=%u user_data=0x%llx dev=%u:%u ino=%llu op=%s flags=0x%x start=%llu end=%llu",
		  __entry->ring, __entry->user_data, MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->ino, show_afsync_op(__entry->op),
		  __entry->flags, __entry->start, __entry->end)
);

/* A request was accepted, or started if it was held, and is in the queue of its file. */
DEFINE_EVENT(afsync_request, afsync_submit,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req)
);

/* A request was accepted and waits to be started. */
DEFINE_EVENT(afsync_request, afsync_hold,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req)
);

/* A file is about to be synced for a batch of requests. */
TRACE_EVENT(afsync_sync_start,
	TP_PROTO(const struct file *file, unsigned int batch, bool datasync, u64 start,
		 u64 end),
	TP_ARGS(file, batch, datasync, start, end),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned int, batch)
		__field(bool, datasync)
		__field(u64, start)
		__field(u64, end)
	),
	TP_fast_assign(
		__entry->dev = file_inode(file)->i_sb->s_dev;
		__entry->ino = file_inode(file)->i_ino;
		__entry->batch = batch;
		__entry->datasync = datasync;
		__entry->start = start;
		__entry->end = end;
	),
	TP_printk("dev=%u:%u ino=%llu batch=%u datasync=%d start=%llu end=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->batch,
		  __entry->datasync, __entry->start, __entry->end)
);

/* The sync has returned, after @ns nanoseconds. */
TRACE_EVENT(afsync_sync_done,
	TP_PROTO(const struct file *file, unsigned int batch, int result, u64 ns),
	TP_ARGS(file, batch, result, ns),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned int, batch)
		__field(int, result)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->dev = file_inode(file)->i_sb->s_dev;
		__entry->ino = file_inode(file)->i_ino;
		__entry->batch = batch;
		__entry->result = result;
		__entry->ns = ns;
	),
	TP_printk("dev=%u:%u ino=%llu batch=%u result=%d ns=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->batch,
		  __entry->result, __entry->ns)
);

DECLARE_EVENT_CLASS(afsync_result,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req),
	TP_STRUCT__entry(
		__field(u32, ring)
		__field(u64, user_data)
		__field(int, result)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->ring = req->ring->id;
		__entry->user_data = req->user_data;
		__entry->result = req->res;
		__entry->flags = req->cqe_flags;
	),
	TP_printk("ring=%u user_data=0x%llx result=%d flags=0x%x", __entry->ring,
		  __entry->user_data, __entry->result, __entry->flags)
);

/* The reference to the file of a request was dropped; its entry will be posted next. */
DEFINE_EVENT(afsync_result, afsync_complete,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req)
);

/* A held or queued request was cancelled; it completes once its file is dropped. */
DEFINE_EVENT(afsync_result, afsync_cancel,
	TP_PROTO(const struct afsync_req *req),
	TP_ARGS(req)
);

#endif /* _AFSYNC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
