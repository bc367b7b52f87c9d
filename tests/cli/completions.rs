//! `completions SHELL`. The script for bash is run in bash, and the others are only generated.

use std::process::Command;
use std::time::Duration;

use crate::support::cli;
use crate::support::process::run;

/// Generates the script without any configuration.
fn script(shell: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    cli::run(folder.path(), &[], &["completions", shell])
        .expect_success()
        .stdout
}

#[test]
fn bash_completes_commands_and_options() {
    for (typed, words, expected) in [
        ("he", vec!["todo-backend", "he"], "healthcheck"),
        ("--em", vec!["todo-backend", "token", "--em"], "--email"),
    ] {
        let last = words.len() - 1;
        let ask = format!(
            "{}
            function=$(complete -p todo-backend | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
            COMP_WORDS=({}) COMP_CWORD={last}
            $function todo-backend '{typed}' '{}'
            echo \"${{COMPREPLY[@]}}\"",
            script("bash"),
            words.join(" "),
            words[last - 1],
        );
        let mut bash = Command::new("bash");
        let said = run(bash.args(["--norc", "-c", &ask]), Duration::from_secs(10));
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(words.contains(&expected), "{typed}: {said}");
        assert!(
            words.iter().all(|word| word.starts_with(typed)),
            "{typed}: {said}"
        );
    }
}

#[test]
fn zsh_and_fish_are_supported_and_an_unknown_shell_is_refused() {
    assert!(script("zsh").starts_with("#compdef todo-backend"));
    assert!(script("fish").contains("complete -c todo-backend"));
    let folder = tempfile::tempdir().unwrap();
    let unknown = cli::run(folder.path(), &[], &["completions", "tcl"]);
    assert!(
        !unknown.success && unknown.stderr.contains("tcl"),
        "{}",
        unknown.stderr
    );
}
