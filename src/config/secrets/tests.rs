//! Lists of secrets, secrets that everybody knows, and the one that is made.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const OLD: &str = "old-old-old-old-old-old-old-old-old";
const NEW: &str = "new:new:new:new:new:new:new:new:new";

#[test]
fn the_first_of_a_list_signs_and_each_of_it_counts() {
    let secrets = Secrets::parse(&format!(" 2 : {NEW} ,01:{OLD}")).unwrap();
    assert_eq!(secrets.signing().as_str(), NEW);
    let all: Vec<_> = secrets.iter().map(Secret::as_str).collect();
    assert_eq!(all, [NEW, OLD]);
}

#[test]
fn what_is_wrong_with_a_list_is_said_without_its_secrets() {
    let public = PUBLIC[1];
    for (list, words) in [
        (format!("{NEW},"), "entry 1 is not VERSION:SECRET"),
        (format!("2:{NEW},"), "entry 2 is not VERSION:SECRET"),
        (format!("2:{NEW},,1:{OLD}"), "entry 2 is not VERSION:SECRET"),
        (format!(":{NEW}"), "entry 1 is not VERSION:SECRET"),
        (format!("two:{NEW}"), "entry 1 is not VERSION:SECRET"),
        (format!("-1:{NEW}"), "entry 1 is not VERSION:SECRET"),
        (
            format!("1:{NEW},01:{OLD}"),
            "entry 2 has the version of an earlier one",
        ),
        (
            format!("0:{NEW},00:{OLD}"),
            "entry 2 has the version of an earlier one",
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
fn what_everybody_knows_is_no_secret() {
    for public in PUBLIC {
        assert!(public.len() >= Secret::MIN_BYTES);
        assert!(Secret::for_signing(public).is_err(), "{public}");
    }
    assert!(Secret::for_signing(OLD).is_ok());
}

#[test]
fn a_secret_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/todo.db.secret");
    let source = SecretSource::BesideDatabase(path.clone());
    assert!(source.existing_secrets().is_err());
    assert!(!path.parent().unwrap().exists(), "reading makes nothing");

    let made = source.secrets().unwrap();
    assert_eq!(source.secrets().unwrap().signing(), made.signing());
    assert_eq!(source.existing_secrets().unwrap().signing(), made.signing());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "and no draft of it stays");
}

#[test]
fn no_secret_is_written_where_a_link_leads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("todo.db.secret");
    let elsewhere = folder.path().join("elsewhere");
    symlink(&elsewhere, &path).unwrap();
    assert!(SecretSource::BesideDatabase(path).secrets().is_err());
    assert!(!elsewhere.exists());
}
