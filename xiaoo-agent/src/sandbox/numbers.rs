//! The system calls and their arguments that a sandbox knows of.

use libc::c_long;

pub(super) const REFUSED: [c_long; 66] = [
    // Other processes: their memory, their files.
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    PROCESS_MRELEASE,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    // Namespaces and mounts.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    MOUNT_SETATTR,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // What outlives a process, or belongs to others of the same user.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_request_key,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmget,
    // The machine itself.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Files without a path, and what happens to files elsewhere.
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_inotify_add_watch,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // What has had more holes than uses.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_lookup_dcookie,
];

#[cfg(target_arch = "x86_64")]
pub(super) const REFUSED_X86: [c_long; 9] = [
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    // The numbers that x32 has for itself.
    X32 | 521, // ptrace
    X32 | 528, // kexec_load
    X32 | 539, // process_vm_readv
    X32 | 540, // process_vm_writev
];

pub(super) const SENDING_SIGNALS: [c_long; 6] = [
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];

#[cfg(target_arch = "x86_64")]
pub(super) const STARTING_PROCESSES: [c_long; 5] = [
    libc::SYS_clone,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const STARTING_PROCESSES: [c_long; 3] =
    [libc::SYS_clone, libc::SYS_execve, libc::SYS_execveat];

/// `clone3` has its flags where no filter sees them; memory files would escape the limits of
/// memory and disk.
pub(super) const UNKNOWN: [c_long; 6] = [
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_memfd_create,
    MEMFD_SECRET,
];

pub(super) const NOT_SUPPORTED: [c_long; 9] = [
    FILE_SETATTR,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    REMOVEXATTRAT,
    libc::SYS_setxattr,
    SETXATTRAT,
];

pub(super) const PRETENDED: [c_long; 5] = [
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];

#[cfg(target_arch = "x86_64")]
pub(super) const PRETENDED_X86: [c_long; 6] = [
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_futimesat,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
];

/// An error of no number is none.
pub(super) const PRETEND: i32 = 0;

#[cfg(target_arch = "x86_64")]
pub(super) const X32: c_long = 0x4000_0000;

// Calls that are newer than the bindings; since 2019 they have one number everywhere.
pub(super) const QUOTACTL_FD: c_long = 443;
pub(super) const MOUNT_SETATTR: c_long = 442;
pub(super) const MEMFD_SECRET: c_long = 447;
pub(super) const PROCESS_MRELEASE: c_long = 448;
pub(super) const FCHMODAT2: c_long = 452;
pub(super) const SETXATTRAT: c_long = 463;
pub(super) const REMOVEXATTRAT: c_long = 466;
pub(super) const OPEN_TREE_ATTR: c_long = 467;
pub(super) const FILE_SETATTR: c_long = 469;

// From linux/sched.h.
pub(super) const NAMESPACES: [u64; 8] = [
    0x0000_0080, // time
    0x0002_0000, // mounts
    0x0200_0000, // cgroups
    0x0400_0000, // host and domain name
    0x0800_0000, // IPC
    0x1000_0000, // users
    0x2000_0000, // processes
    0x4000_0000, // network
];

/// Typing into a terminal, and changing the flags of files.
pub(super) const IOCTLS: [u64; 4] = [
    0x5412,      // TIOCSTI
    0x541c,      // TIOCLINUX
    0x4008_6602, // FS_IOC_SETFLAGS
    0x401c_5820, // FS_IOC_FSSETXATTR
];

pub(super) const PRIO_PROCESS: u64 = 0;
pub(super) const IOPRIO_WHO_PROCESS: u64 = 1;

pub(super) const AF_UNIX: u64 = 1;
pub(super) const AF_INET: u64 = 2;
pub(super) const AF_INET6: u64 = 10;
pub(super) const AF_NETLINK: u64 = 16;
pub(super) const NETLINK_ROUTE: u64 = 0;
pub(super) const SOCK_DGRAM: u64 = 2;
pub(super) const SOCK_RAW: u64 = 3;
pub(super) const SOCK_RDM: u64 = 4;
/// What of a socket's type is not a flag.
pub(super) const SOCK_TYPE: u64 = 0xf;
