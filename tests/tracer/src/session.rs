//! A traced run: all threads and children of a program are followed, its calls are counted, and one of them is interfered with.
//!
//! Invariants
//! 1. One counter counts the calls of all threads, in the order in which they stop before them.
//! 2. What has stopped is always let go on, or killed; the program ends with this process, however that ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc::{self, c_int, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::calls::{Call, Changed, halve};
use crate::filter;

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    KillBefore,
    KillAfter,
    /// It writes half, and then the program is killed.
    Tear,
    /// It writes half.
    Short,
    Fail(Errno),
    /// Nothing; for the hook.
    Pass,
}

/// What is asked of a run.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The number of the call, from 1, and what is done to it.
    pub(crate) at: Option<(u64, Action)>,
    /// Whether the same is done to all calls behind it.
    pub(crate) onwards: bool,
    /// Whether syncs only seem to be done.
    pub(crate) skip_syncs: bool,
    /// Whether the system cannot exchange two names.
    pub(crate) no_exchange: bool,
    /// A program that is run while the call, or every call, is held: number and name of the call, and what it is called on.
    pub(crate) hook: Option<OsString>,
    /// Whether each call is listed with its result.
    pub(crate) list: bool,
}

/// A call as it was listed.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) call: Call,
    /// What the system has answered; none where the program did not live to see it.
    pub(crate) result: Option<i64>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) points: u64,
    /// How often something was done to a call.
    pub(crate) hits: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) hidden: Vec<String>,
    pub(crate) calls: Vec<Listed>,
}

/// What becomes of a process when its call has been made.
#[derive(Clone, Copy, Debug, Default)]
struct Then {
    listed: Option<usize>,
    kill: bool,
    /// The registers that the program must find again but for the result, and what was changed of its memory.
    changed: Option<(user_regs_struct, Option<Changed>)>,
}

struct Session<'w> {
    wanted: &'w Wanted,
    leader: Pid,
    seen: HashSet<Pid>,
    in_call: HashMap<Pid, Then>,
    outcome: Outcome,
}

/// Runs a program to its end.
pub(crate) fn run(wanted: &Wanted, program: &OsString, arguments: &[OsString]) -> Result<Outcome, String> {
    let leader = start(program, arguments)?;
    let mut session = Session { wanted, leader, seen: HashSet::from([leader]), in_call: HashMap::new(), outcome: Outcome::default() };
    resume(leader, None);
    session.follow()?;
    Ok(session.outcome)
}

/// Starts the program in a process group of its own; it has stopped before its first instruction.
fn start(program: &OsString, arguments: &[OsString]) -> Result<Pid, String> {
    let mut filter = filter::program();
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    let enter = move || {
        ptrace::traceme()?;
        filter::install(&mut filter)
    };
    // SAFETY: between fork and exec, two system calls are made and nothing is allocated.
    unsafe { command.pre_exec(enter) };
    let child = command.spawn().map_err(|error| format!("{} cannot be traced: {error}", program.display()))?;
    let leader = Pid::from_raw(child.id().cast_signed());
    match waitpid(leader, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => {}
        other => return Err(format!("{} did not stop: {other:?}", program.display())),
    }
    let follow = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACEEXEC;
    let stops = Options::PTRACE_O_TRACESECCOMP | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(leader, follow | stops).map_err(|errno| format!("options of the trace: {errno}"))?;
    Ok(leader)
}

/// Lets a process go on. It may have been killed meanwhile.
fn resume(process: Pid, signal: Option<Signal>) {
    let _ = ptrace::cont(process, signal);
}

/// Gives a call an answer without making it.
fn answer(process: Pid, mut regs: user_regs_struct, result: i64) {
    regs.orig_rax = u64::MAX;
    regs.rax = result.cast_unsigned();
    let _ = ptrace::setregs(process, regs);
    resume(process, None);
}

impl Session<'_> {
    fn follow(&mut self) -> Result<(), String> {
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(Errno::ECHILD) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(format!("wait: {errno}")),
                Ok(WaitStatus::Exited(process, code)) if process == self.leader => self.outcome.code = Some(code),
                Ok(WaitStatus::Signaled(process, signal, _)) if process == self.leader => self.outcome.signal = Some(signal as i32),
                Ok(WaitStatus::PtraceEvent(process, _, libc::PTRACE_EVENT_SECCOMP)) => self.before_call(process)?,
                Ok(WaitStatus::PtraceEvent(process, ..)) => resume(process, None),
                Ok(WaitStatus::PtraceSyscall(process)) => self.after_call(process),
                // A new thread or child begins with a stop that is not meant for it.
                Ok(WaitStatus::Stopped(process, Signal::SIGSTOP)) if self.seen.insert(process) => resume(process, None),
                Ok(WaitStatus::Stopped(process, signal)) => resume(process, Some(signal)),
                Ok(_) => {}
            }
        }
    }

    fn kill(&self) {
        let _ = killpg(self.leader, Signal::SIGKILL);
    }

    /// A process has stopped before a call that the filter knows.
    fn before_call(&mut self, process: Pid) -> Result<(), String> {
        self.seen.insert(process);
        // It may have been killed meanwhile.
        let Ok(regs) = ptrace::getregs(process) else { return Ok(()) };
        let Some(call) = Call::read(process, &regs) else {
            resume(process, None);
            return Ok(());
        };
        if call.exchanges && self.wanted.no_exchange {
            answer(process, regs, -i64::from(libc::EINVAL));
            return Ok(());
        }
        self.outcome.points += 1;
        *self.outcome.counts.entry(call.name).or_default() += 1;
        if call.hidden {
            self.outcome.hidden.push(format!("{} {:?}", call.name, call.paths));
        }
        let number = self.outcome.points;
        let action = self.wanted.at.filter(|(at, _)| number == *at || self.wanted.onwards && number > *at).map(|(_, action)| action);
        self.outcome.hits += u64::from(action.is_some());
        let here = self.wanted.at.is_none() || self.wanted.at.is_some_and(|(at, _)| at == number);
        if let Some(hook) = self.wanted.hook.as_ref().filter(|_| here) {
            run_hook(hook, number, &call)?;
        }
        let syncs = call.syncs;
        let listed = self.wanted.list.then(|| {
            self.outcome.calls.push(Listed { call, result: None });
            self.outcome.calls.len() - 1
        });
        self.let_pass(process, regs, action, syncs, listed);
        Ok(())
    }

    /// Makes the call, or what is to be done in its place.
    fn let_pass(&mut self, process: Pid, mut regs: user_regs_struct, action: Option<Action>, syncs: bool, listed: Option<usize>) {
        let mut then = Then { listed, ..Then::default() };
        match action {
            Some(Action::KillBefore) => return self.kill(),
            Some(Action::Fail(errno)) => return self.answer_listed(process, regs, -i64::from(errno as c_int), listed),
            Some(Action::KillAfter) => then.kill = true,
            Some(Action::Tear) => {
                if halve(process, &mut regs).is_none() || ptrace::setregs(process, regs).is_err() {
                    return self.kill();
                }
                then.kill = true;
            }
            Some(Action::Short) => {
                let before = regs;
                if let Some(changed) = halve(process, &mut regs) {
                    then.changed = Some((before, changed));
                    let _ = ptrace::setregs(process, regs);
                }
            }
            Some(Action::Pass) | None => {}
        }
        if self.wanted.skip_syncs && syncs {
            return if then.kill { self.kill() } else { self.answer_listed(process, regs, 0, listed) };
        }
        if then.listed.is_some() || then.kill || then.changed.is_some() {
            self.in_call.insert(process, then);
            let _ = ptrace::syscall(process, None);
        } else {
            resume(process, None);
        }
    }

    fn answer_listed(&mut self, process: Pid, regs: user_regs_struct, result: i64, listed: Option<usize>) {
        if let Some(listed) = listed {
            self.outcome.calls[listed].result = Some(result);
        }
        answer(process, regs, result);
    }

    /// A process has stopped behind a call.
    fn after_call(&mut self, process: Pid) {
        let then = self.in_call.remove(&process).unwrap_or_default();
        if let Some(listed) = then.listed {
            self.outcome.calls[listed].result = ptrace::getregs(process).ok().map(|regs| regs.rax.cast_signed());
        }
        if let Some((before, changed)) = then.changed {
            if let Ok(after) = ptrace::getregs(process) {
                let _ = ptrace::setregs(process, user_regs_struct { rax: after.rax, ..before });
            }
            if let Some(changed) = changed {
                changed.restore(process);
            }
        }
        if then.kill { self.kill() } else { resume(process, None) }
    }
}

fn run_hook(hook: &OsString, number: u64, call: &Call) -> Result<(), String> {
    let mut command = Command::new(hook);
    command.arg(number.to_string()).arg(call.name).args(&call.paths);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{command:?}: {other:?}")),
    }
}
