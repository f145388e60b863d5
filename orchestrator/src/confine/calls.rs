//! System calls that a worker never makes, and that whoever took it over would want first: they are refused from now on.
//!
//! What is inherited stays: the ingress sockets, the channel, and connections that are accepted. Nothing is opened anew.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(super) use known::give_up;

/// Says that this architecture has no such means.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(super) fn give_up() -> Result<(), String> {
    Err(format!("the system calls of {} are not known", std::env::consts::ARCH))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod known {
    use nix::libc;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    /// All of them, by what they are for.
    const REFUSED: &[&[libc::c_long]] = &[
        // A network: pairs of sockets lead nowhere, and stay.
        &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_io_uring_setup],
        // Another program.
        &[libc::SYS_execve, libc::SYS_execveat],
        // Other processes.
        &[libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd],
        // Namespaces, and other roots.
        &[
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_chroot,
            libc::SYS_pivot_root,
            libc::SYS_mount,
            libc::SYS_umount2,
        ],
        // Parts of the kernel that a script has no use for.
        &[libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_add_key, libc::SYS_keyctl],
        &[libc::SYS_request_key, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_kexec_load],
    ];

    /// Refuses them to this thread and those that it starts.
    pub(in super::super) fn give_up() -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let refused = REFUSED.iter().flat_map(|calls| *calls).map(|call| (*call, Vec::new())).collect();
        let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| text(&error))?;
        let filter = SeccompFilter::new(refused, SeccompAction::Allow, refusal, arch).map_err(|error| text(&error))?;
        let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| text(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| text(&error))
    }
}
