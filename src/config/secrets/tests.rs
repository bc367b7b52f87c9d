//! Tests lists of secrets, published secrets, and the generated secret.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const OLD: &str = "old-old-old-old-old-old-old-old-old";
const NEW: &str = "new:new:new:new:new:new:new:new:new";

#[test]
fn the_first_secret_of_a_list_signs_and_all_of_them_verify() {
    let secrets = Secrets::parse(&format!(" 2 : {NEW} ,01:{OLD}")).unwrap();
    assert_eq!(secrets.signing().as_str(), NEW);
    let all: Vec<_> = secrets.iter().map(Secret::as_str).collect();
    assert_eq!(all, [NEW, OLD]);
}

#[test]
fn errors_in_a_list_do_not_contain_its_secrets() {
    let public = PUBLISHED_SECRETS[1];
    for (list, words) in [
        (format!("{NEW},"), "entry 1 is not VERSION:SECRET"),
        (format!("2:{NEW},"), "entry 2 is not VERSION:SECRET"),
        (format!("2:{NEW},,1:{OLD}"), "entry 2 is not VERSION:SECRET"),
        (format!(":{NEW}"), "entry 1 is not VERSION:SECRET"),
        (format!("two:{NEW}"), "entry 1 is not VERSION:SECRET"),
        (format!("-1:{NEW}"), "entry 1 is not VERSION:SECRET"),
        (
            format!("1:{NEW},01:{OLD}"),
            "entry 2 has the same version as an earlier entry",
        ),
        (
            format!("0:{NEW},00:{OLD}"),
            "entry 2 has the same version as an earlier entry",
        ),
        (format!("2:{NEW},1:"), "entry 2 has 0 bytes"),
        (format!("2:{NEW},1:short"), "entry 2 has 5 bytes"),
        (format!("2:{NEW},1: {public} "), "entry 2 is an example"),
    ] {
        let problem = Secrets::parse(&list).unwrap_err();
        assert!(problem.contains(words), "{list}: {problem}");
        for secret in [NEW, OLD, public] {
            assert!(!problem.contains(secret), "{problem}");
        }
    }
}

#[test]
fn published_secrets_are_refused() {
    for public in PUBLISHED_SECRETS {
        assert!(public.len() >= Secret::MIN_BYTES);
        assert!(Secret::parse(public).is_err(), "{public}");
    }
    assert!(Secret::parse(OLD).is_ok());
}

#[test]
fn a_secret_is_generated_once_and_only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/todo.db.secret");
    let source = SecretSource::Generated(path.clone());
    assert!(source.load_existing().is_err());
    assert!(!path.parent().unwrap().exists(), "load_existing creates nothing");

    let generated = source.load_or_generate().unwrap();
    assert_eq!(source.load_or_generate().unwrap().signing(), generated.signing());
    assert_eq!(source.load_existing().unwrap().signing(), generated.signing());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "no temporary file is left");
}

#[test]
fn generating_a_secret_does_not_follow_a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("todo.db.secret");
    let elsewhere = folder.path().join("elsewhere");
    symlink(&elsewhere, &path).unwrap();
    assert!(SecretSource::Generated(path).load_or_generate().is_err());
    assert!(!elsewhere.exists());
}
