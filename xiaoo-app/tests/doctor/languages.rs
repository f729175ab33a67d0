//! All that doctor says, in the language of the person.

use std::process::Command;

use xiaoo_app::commands::doctor::findings;

#[test]
fn each_finding_is_explained_in_the_language_that_is_asked_for_or_the_locales() {
    for (variable, flag, is_chinese) in [
        ("LANG=en_GB.UTF-8", None, false),
        ("LANG=zh_CN.UTF-8", None, true),
        ("LC_ALL=zh_CN.UTF-8", Some("en"), false),
        ("LC_ALL=C", Some("zh"), true),
    ] {
        for finding in [findings::ALL[0], findings::ALL[findings::ALL.len() - 1]] {
            let (name, value) = variable.split_once('=').unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"));
            for unset in ["LC_ALL", "LC_MESSAGES", "LANG"] {
                command.env_remove(unset);
            }
            command
                .env(name, value)
                .args(["doctor", "explain", finding.id]);
            if let Some(flag) = flag {
                command.args(["--lang", flag]);
            }
            let ended = command.output().unwrap();
            assert!(ended.status.success(), "{variable} {flag:?}");
            let out = String::from_utf8(ended.stdout).unwrap();
            for words in [finding.title, finding.cause, finding.fix] {
                let (said, other) = match is_chinese {
                    true => (words.zh, words.en),
                    false => (words.en, words.zh),
                };
                assert!(out.contains(said), "{variable} {flag:?}: {out}");
                assert!(said == other || !out.contains(other), "{out}");
            }
        }
    }
}
