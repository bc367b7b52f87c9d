//! How a case becomes tests: `on_both_databases!` and `with_a_process_of_its_own!`.

/// Turns `fn name(app: TestApp)` into the tests `name::sqlite` and `name::postgres`.
///
/// A case that takes `app: AppWithDatabase` also looks into the database, at its own users' rows alone:
/// a deployment has others. When the suite is pointed at one whose database it is not told, the case
/// ends early, and says so. A case that takes `db: Database` starts what it needs by itself, a process
/// with other variables, two of them, a database to spoil: it ends early at every deployment.
/// Parentheses, not braces: rustfmt formats items only within those.
macro_rules! on_both_databases {
    () => {};
    (
        $(#[$meta:meta])*
        fn $name:ident($app:ident: TestApp) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        fn $name($app: $crate::support::TestApp) $body
        on_each_database!($name, true, $crate::support::TestApp::start);
        on_both_databases!($($rest)*);
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($app:ident: AppWithDatabase) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        fn $name($app: $crate::support::TestApp) $body
        on_each_database!(
            $name,
            $crate::support::deployment::database_known(),
            $crate::support::TestApp::start
        );
        on_both_databases!($($rest)*);
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($db:ident: Database) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        fn $name($db: $crate::support::Database) $body
        on_each_database!(
            $name,
            $crate::support::deployment::own_process_allowed(),
            ::std::convert::identity
        );
        on_both_databases!($($rest)*);
    };
}

/// The two tests of a case, which gets what `$start` makes of a database, where `$possible`.
macro_rules! on_each_database {
    ($name:ident, $possible:expr, $start:expr) => {
        mod $name {
            #[test]
            fn sqlite() {
                if $possible {
                    super::$name($start($crate::support::Database::Sqlite));
                }
            }
            #[test]
            fn postgres() {
                if $possible {
                    super::$name($start($crate::support::Database::Postgres));
                }
            }
        }
    };
}

/// The same for a case that is about one database only, or about none: `fn name()`.
macro_rules! with_a_process_of_its_own {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        #[test]
        $(#[$meta])*
        fn $name() {
            if $crate::support::deployment::own_process_allowed() {
                $body
            }
        }
    )*};
}
