//! Both databases have the same migrations, and each migration can be reverted and applied again.

use std::collections::BTreeSet;
use std::fs;

use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use rstest::rstest;

use crate::support::cluster::connect_for_migrations;
use crate::support::database::Connection;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, cli};

/// Checks that Citus accepts the migrations after the first.
mod distributable;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn folder(kind: Database) -> String {
    let name = match kind {
        Database::Sqlite => "sqlite",
        Database::Postgres => "postgres",
    };
    format!("{ROOT}/migrations/{name}")
}

fn names(kind: Database) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(kind)).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert_eq!(names(Database::Sqlite), names(Database::Postgres));
}

#[test]
fn every_migration_can_be_taken_back_and_applied_again() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let database = OwnDatabase::create(kind);
        let migrations = || FileBasedMigrations::from_path(folder(kind)).unwrap();
        let count = names(kind).len();
        for _ in 0..2 {
            let (applied, reverted) = match database.connect() {
                Connection::Sqlite(mut conn) => (
                    conn.run_pending_migrations(migrations()).unwrap().len(),
                    conn.revert_all_migrations(migrations()).unwrap().len(),
                ),
                Connection::Postgres(_) => {
                    let mut conn = connect_for_migrations(&database.url);
                    (
                        conn.run_pending_migrations(migrations()).unwrap().len(),
                        conn.revert_all_migrations(migrations()).unwrap().len(),
                    )
                }
            };
            assert_eq!((applied, reverted), (count, count), "{kind:?}");
        }
    }
}

#[rstest]
fn a_dropped_table_is_an_error_although_its_migration_is_recorded(#[values(Sqlite, Postgres)] db: Database) {
    let database = OwnDatabase::create(db);
    let folder = tempfile::tempdir().unwrap();
    let migrate = || cli::run(folder.path(), &[("DATABASE_URL", &database.url)], &["migrate"]);
    migrate().expect_success();
    database.execute("DROP TABLE tasks");
    let outcome = migrate();
    assert!(!outcome.success, "{}", outcome.everything());
    assert!(outcome.stderr.contains("tasks"), "{}", outcome.everything());
}
