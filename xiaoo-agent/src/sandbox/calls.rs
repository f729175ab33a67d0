//! Which system calls a process may make.
//!
//! What is refused is listed, not what is allowed: a command may be anything, and breaks in odd
//! ways when something harmless is missing. What is listed reaches out of the sandbox, outlives
//! it, or is a part of the kernel that attackers like and programs don't need.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::files::Signals;
use super::numbers::*;

/// The kernel can't, or would not.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotFilter {
    #[error("this machine's architecture has no filter for system calls: {0}")]
    Architecture(#[source] seccompiler::BackendError),
    #[error("the kernel does not filter system calls: {0}")]
    Refused(#[from] seccompiler::Error),
    #[error("a filter for system calls is wrong: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// Gives up what a command may not do, for good.
pub(super) fn restrict(network: bool, signals: Signals) -> Result<(), CannotFilter> {
    install(&for_command(network, signals)?)
}

/// Gives up all that a process does not need which reads its input and writes its output.
pub(super) fn restrict_all() -> Result<(), CannotFilter> {
    install(&for_reader()?)
}

fn for_command(network: bool, signals: Signals) -> Result<[BpfProgram; 4], CannotFilter> {
    let mut refused = refused()?;
    refused.extend(if network {
        internet_only()?
    } else {
        no_network()
    });
    if signals == Signals::Unscoped {
        refused.extend(SENDING_SIGNALS.map(always));
    }
    programs(refused)
}

fn for_reader() -> Result<[BpfProgram; 4], CannotFilter> {
    let mut refused = refused()?;
    refused.extend(no_network());
    refused.extend(SENDING_SIGNALS.map(always));
    refused.extend(STARTING_PROCESSES.map(always));
    programs(refused)
}

/// The filters add up: each call gets the strictest answer of any.
fn programs(refused: Vec<Refusal>) -> Result<[BpfProgram; 4], CannotFilter> {
    Ok([
        program(refused, libc::EPERM)?,
        program(unknown(), libc::ENOSYS)?,
        program(not_supported(), libc::EOPNOTSUPP)?,
        program(pretended()?, PRETEND)?,
    ])
}

fn install(programs: &[BpfProgram]) -> Result<(), CannotFilter> {
    for program in programs {
        apply_filter(program)?;
    }
    Ok(())
}

/// A call, and when it is refused: if one of the rules holds, or always when there are none.
type Refusal = (c_long, Vec<SeccompRule>);

fn program(refusals: Vec<Refusal>, errno: i32) -> Result<BpfProgram, CannotFilter> {
    let target =
        TargetArch::try_from(std::env::consts::ARCH).map_err(CannotFilter::Architecture)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, conditions) in refusals {
        // The same kernel takes calls under a second set of numbers (x32), if it was built so.
        #[cfg(target_arch = "x86_64")]
        rules.insert(call | X32, conditions.clone());
        rules.insert(call, conditions);
    }
    let errno = SeccompAction::Errno(u32::try_from(errno).unwrap_or(1));
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, target)?;
    Ok(filter.try_into()?)
}

/// What is refused to all.
fn refused() -> Result<Vec<Refusal>, CannotFilter> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut refused: Vec<Refusal> = REFUSED.iter().copied().map(always).collect();
    #[cfg(target_arch = "x86_64")]
    refused.extend(REFUSED_X86.iter().copied().map(always));
    let namespaces = NAMESPACES
        .iter()
        .map(|flag| rule(&[(0, MaskedEq(*flag), *flag)]))
        .collect::<Result<_, _>>()?;
    refused.push((libc::SYS_clone, namespaces));
    // Of another process of the same user: the daemon's own limits, place and rank.
    let of_others = [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ];
    for call in of_others {
        refused.push((call, vec![rule(&[(0, Ne, 0)])?]));
    }
    let own_rank = |of_process| -> Result<Vec<SeccompRule>, CannotFilter> {
        Ok(vec![rule(&[(0, Ne, of_process)])?, rule(&[(1, Ne, 0)])?])
    };
    refused.push((libc::SYS_setpriority, own_rank(PRIO_PROCESS)?));
    refused.push((libc::SYS_ioprio_set, own_rank(IOPRIO_WHO_PROCESS)?));
    let controls = IOCTLS
        .iter()
        .map(|command| rule(&[(1, Eq, *command)]))
        .collect::<Result<_, _>>()?;
    refused.push((libc::SYS_ioctl, controls));
    refused.push((libc::SYS_socketpair, unconnected_pairs()?));
    Ok(refused)
}

/// No sockets but connected pairs.
fn no_network() -> Vec<Refusal> {
    [
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_listen,
        libc::SYS_socket,
    ]
    .map(always)
    .to_vec()
}

/// Streams and datagrams of the internet, and the question which addresses this machine has,
/// which comes before looking up a name.
fn internet_only() -> Result<Vec<Refusal>, CannotFilter> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let rules = vec![
        rule(&[(0, Ne, AF_INET), (0, Ne, AF_INET6), (0, Ne, AF_NETLINK)])?,
        rule(&[(0, Ne, AF_NETLINK), (1, MaskedEq(SOCK_TYPE), SOCK_RAW)])?,
        rule(&[(0, Eq, AF_NETLINK), (2, Ne, NETLINK_ROUTE)])?,
    ];
    Ok(vec![(libc::SYS_socket, rules)])
}

/// A pair whose ends stay connected reaches nobody else; datagrams can be sent anywhere.
fn unconnected_pairs() -> Result<Vec<SeccompRule>, CannotFilter> {
    use SeccompCmpOp::{MaskedEq, Ne};
    let kinds = [SOCK_DGRAM, SOCK_RAW, SOCK_RDM];
    let mut rules = vec![rule(&[(0, Ne, AF_UNIX)])?];
    for kind in kinds {
        rules.push(rule(&[(1, MaskedEq(SOCK_TYPE), kind)])?);
    }
    Ok(rules)
}

/// What programs do without when the kernel is too old for it.
fn unknown() -> Vec<Refusal> {
    UNKNOWN.map(always).to_vec()
}

/// What programs do without when the file system has it not.
fn not_supported() -> Vec<Refusal> {
    NOT_SUPPORTED.map(always).to_vec()
}

/// What Landlock does not watch over: changing modes, owners and times of files anywhere. It
/// does nothing and says that it worked.
fn pretended() -> Result<Vec<Refusal>, CannotFilter> {
    let mut pretended: Vec<Refusal> = PRETENDED.iter().copied().map(always).collect();
    #[cfg(target_arch = "x86_64")]
    pretended.extend(PRETENDED_X86.iter().copied().map(always));
    // Of an open file, the times may be changed: opening it was allowed.
    let by_path = SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    pretended.push((libc::SYS_utimensat, vec![SeccompRule::new(vec![by_path])?]));
    Ok(pretended)
}

fn always(call: c_long) -> Refusal {
    (call, Vec::new())
}

/// Holds when all of these do: argument, comparison, value.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, CannotFilter> {
    let conditions = conditions
        .iter()
        .map(|(argument, comparison, value)| {
            let comparison = comparison.clone();
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, comparison, *value)
        })
        .collect::<Result<_, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_one_that_the_kernel_takes() {
        /// From linux/bpf_common.h.
        const INSTRUCTIONS_MAX: usize = 4096;
        let mut all = vec![for_reader().unwrap()];
        for network in [false, true] {
            for signals in [Signals::Scoped, Signals::Unscoped] {
                all.push(for_command(network, signals).unwrap());
            }
        }
        for program in all.iter().flatten() {
            assert!(
                (2..=INSTRUCTIONS_MAX).contains(&program.len()),
                "{}",
                program.len()
            );
        }
    }

    #[test]
    fn what_is_listed_twice_would_lose_its_first_rules() {
        for network in [false, true] {
            let mut calls: Vec<c_long> = refused().unwrap().iter().map(|(call, _)| *call).collect();
            let more = if network {
                internet_only().unwrap()
            } else {
                no_network()
            };
            calls.extend(more.iter().map(|(call, _)| *call));
            calls.extend(SENDING_SIGNALS);
            let total = calls.len();
            calls.sort_unstable();
            calls.dedup();
            assert_eq!(calls.len(), total);
        }
    }
}
