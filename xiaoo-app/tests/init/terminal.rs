//! A terminal with the program at one end and a test at the other.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::daemon::PATIENCE;

pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// All that was shown.
    shown: Vec<u8>,
    /// How much of it the test has seen.
    seen: usize,
}

impl Terminal {
    /// Runs the program at it, with nothing of this environment.
    pub fn run(home: &Path, arguments: &[&str]) -> Self {
        Self::run_with(home, arguments, &[])
    }

    /// The same, with variables.
    pub fn run_with(home: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"))
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .envs(env.iter().copied())
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // An error is the end: nobody has the other side open any more.
            while let Ok(bytes @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..bytes].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: Vec::new(),
            seen: 0,
        }
    }

    /// Waits until this is shown, after what was waited for before.
    pub fn until(&mut self, words: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let unseen = String::from_utf8_lossy(&self.shown[self.seen..]);
            if let Some(at) = unseen.find(words) {
                self.seen += at + words.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.extend(bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!(
                        "{words:?} is not shown after {unseen}\nall:\n{}",
                        self.shown()
                    )
                }
            }
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.presses(format!("{line}\n").as_bytes())
    }

    pub fn presses(&mut self, keys: &[u8]) -> &mut Self {
        self.keyboard.write_all(keys).unwrap();
        self
    }

    /// Waits for the end; the exit status.
    pub fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.extend(bytes),
                // Nobody has the other side open any more: it has ended.
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap().code(),
                Err(RecvTimeoutError::Timeout) => panic!("it never ends:\n{}", self.shown()),
            }
        }
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace('\r', "")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
