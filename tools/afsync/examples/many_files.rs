// SPDX-License-Identifier: MIT
// Example of libafsync in Rust: make many files durable, up to 64 syncs in flight, and go on
// after a failure. The functions that it needs are declared here; no crate is needed.
//
//	rustc many_files.rs -l afsync
//
// Usage: many_files FILE...
use std::os::raw::{c_int, c_uint, c_void};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::AsRawFd;
use std::{env, fs, io, process, ptr};

// struct afsync_cqe of <linux/afsync.h>
#[repr(C)]
struct Cqe {
    user_data: u64,
    res: i32,
    flags: u32,
}

extern "C" {
    fn afsync_queue_init(entries: c_uint, ring: *mut *mut c_void, flags: c_uint) -> c_int;
    fn afsync_queue_exit(ring: *mut c_void);
    fn afsync_get_sqe(ring: *mut c_void) -> *mut c_void;
    fn afsync_prep_fsync(sqe: *mut c_void, fd: c_int);
    fn afsync_sqe_set_data64(sqe: *mut c_void, data: u64);
    fn afsync_submit(ring: *mut c_void) -> c_int;
    fn afsync_sq_drop(ring: *mut c_void, sqe: *mut c_void, size: usize) -> c_int;
    fn afsync_wait_cqe(ring: *mut c_void, cqe: *mut *mut Cqe) -> c_int;
    fn afsync_cqe_seen(ring: *mut c_void, cqe: *const Cqe);
}

const DEPTH: usize = 64; // requests in flight
const O_NONBLOCK: i32 = 0o4000;

struct Ring(*mut c_void);

fn check(ret: c_int) -> io::Result<()> {
    if ret < 0 { Err(io::Error::from_raw_os_error(-ret)) } else { Ok(()) }
}

impl Ring {
    fn new() -> io::Result<Ring> {
        let mut ring = ptr::null_mut();
        check(unsafe { afsync_queue_init(DEPTH as c_uint, &mut ring, 0) })?;
        Ok(Ring(ring))
    }

    // The request has the file: it is closed here. False if it was synced here instead.
    fn fsync(&self, path: &str, number: usize) -> io::Result<bool> {
        let file = fs::OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
        unsafe {
            let sqe = afsync_get_sqe(self.0);
            afsync_prep_fsync(sqe, file.as_raw_fd());
            afsync_sqe_set_data64(sqe, number as u64);
            if afsync_submit(self.0) == 1 {
                return Ok(true);
            }
            afsync_sq_drop(self.0, ptr::null_mut(), 0);
        }
        file.sync_all().and(Ok(false))
    }

    fn wait(&self) -> io::Result<(usize, io::Result<()>)> {
        let mut cqe = ptr::null_mut();
        unsafe {
            check(afsync_wait_cqe(self.0, &mut cqe))?;
            let done = ((*cqe).user_data as usize, check((*cqe).res));
            afsync_cqe_seen(self.0, cqe);
            Ok(done)
        }
    }
}

fn main() -> io::Result<()> {
    let files: Vec<String> = env::args().skip(1).collect();
    let ring = Ring::new()?;
    let (mut in_flight, mut next, mut failed) = (0, 0, 0);
    let mut complain = |number: usize, error: io::Error| {
        eprintln!("many_files: {}: {}", files[number], error);
        failed = 1;
    };

    while next < files.len() || in_flight > 0 {
        if next < files.len() && in_flight < DEPTH {
            match ring.fsync(&files[next], next) {
                Ok(queued) => in_flight += queued as usize,
                Err(error) => complain(next, error),
            }
            next += 1;
        } else {
            let (number, result) = ring.wait()?;
            result.unwrap_or_else(|error| complain(number, error));
            in_flight -= 1;
        }
    }
    unsafe { afsync_queue_exit(ring.0) };
    process::exit(failed)
}
