//! The macros that turn a test case into tests: `on_both_databases!` and `with_a_process_of_its_own!`.

/// Turns `fn name(app: TestApp)` into the tests `name::sqlite` and `name::postgres`.
///
/// A test case that takes `app: AppWithDatabase` also accesses the database directly, but only the rows of
/// its own users, because a deployment has other users too. It is skipped at a deployment whose database URL
/// is not known. A test case that takes `db: Database` starts its own processes, for example with other
/// variables or on a database that it damages, and is skipped at every deployment. Call the macro with
/// parentheses: rustfmt does not format items inside braces.
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

/// Generates the two tests of a case. Each passes the result of `$start` to the case, or does nothing unless
/// `$possible` holds.
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

/// Generates a test `fn name()` for a case that concerns only one database or none. It is skipped at every
/// deployment.
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
