// SPDX-License-Identifier: MIT

// Example of libafsync in Go: group commit of a log. Many goroutines append records and wait
// for them; one sync serves all that wait when it starts. Those that wait keep no thread.
//
//	CGO_LDFLAGS=-lafsync go build group_commit.go
//
// Usage: group_commit LOG
package main

// #include <libafsync.h>
import "C"

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

const (
	writers = 16
	records = 100 // of each writer
)

type ring struct {
	ring   *C.struct_afsync_ring
	submit sync.Mutex          // afsync_get_sqe() to afsync_submit()
	done   [writers]chan C.int // the result of a writer's request
	syncs  int                 // of the reader
}

func result(ret C.int) error {
	if ret < 0 {
		return syscall.Errno(-ret)
	}
	return nil
}

func die(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "group_commit: %s: %v\n", what, err)
		os.Exit(1)
	}
}

// commit waits until what was written is durable. Each writer has one request at a time,
// and the ring an entry for each.
func (r *ring) commit(log *os.File, writer int) error {
	r.submit.Lock()
	sqe := C.afsync_get_sqe(r.ring)
	C.afsync_prep_fdatasync(sqe, C.int(log.Fd()))
	// A number, not a pointer: C must not keep one of Go.
	C.afsync_sqe_set_data64(sqe, C.uint64_t(writer))
	err := result(C.afsync_submit(r.ring))
	r.submit.Unlock()
	if err == nil {
		err = result(<-r.done[writer])
	}
	return err
}

func (r *ring) read(count int) {
	for cqe := (*C.struct_afsync_cqe)(nil); count > 0; count-- {
		// Go installs its signal handlers with SA_RESTART: they do not end the wait.
		die("afsync_wait_cqe", result(C.afsync_wait_cqe(r.ring, &cqe)))
		writer, res := cqe.user_data, C.int(cqe.res)
		if cqe.flags&C.AFSYNC_CQE_MERGED == 0 {
			r.syncs++
		}
		// Before the writer wakes: its next request needs the entry.
		C.afsync_cqe_seen(r.ring, cqe)
		r.done[writer] <- res
	}
}

func (r *ring) write(log *os.File, writer int) {
	for i := 0; i < records; i++ {
		_, err := fmt.Fprintf(log, "record %d.%d\n", writer, i)
		die("write", err)
		die("commit", r.commit(log, writer))
	}
}

func main() {
	var r ring
	name := strings.Join(os.Args[1:], " ")
	log, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0666)
	die("open", err)
	die("afsync_queue_init", result(C.afsync_queue_init(writers, &r.ring, 0)))
	for writer := range r.done {
		r.done[writer] = make(chan C.int)
		go r.write(log, writer)
	}
	r.read(writers * records)
	fmt.Printf("%d records durable with %d syncs\n", writers*records, r.syncs)
	C.afsync_queue_exit(r.ring)
}
