//! How a case becomes tests: `on_both_databases!` and `with_a_process_of_its_own!`.

/// Turns `fn name(app: TestApp)` into the tests `name::sqlite` and `name::postgres`.
///
/// A case that takes `db: Database` instead starts what it needs by itself: a process with other
/// variables, two of them, a look into the database. It ends early when the suite is pointed at a
/// deployment, and says so. Parentheses, not braces: rustfmt formats items only within those.
macro_rules! on_both_databases {
    () => {};
    (
        $(#[$meta:meta])*
        fn $name:ident($app:ident: TestApp) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        fn $name($app: $crate::support::TestApp) $body
        mod $name {
            #[test]
            fn sqlite() {
                super::$name($crate::support::TestApp::start($crate::support::Database::Sqlite));
            }
            #[test]
            fn postgres() {
                super::$name($crate::support::TestApp::start($crate::support::Database::Postgres));
            }
        }
        on_both_databases!($($rest)*);
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($db:ident: Database) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        fn $name($db: $crate::support::Database) $body
        mod $name {
            #[test]
            fn sqlite() {
                if $crate::support::deployment::own_process_allowed() {
                    super::$name($crate::support::Database::Sqlite);
                }
            }
            #[test]
            fn postgres() {
                if $crate::support::deployment::own_process_allowed() {
                    super::$name($crate::support::Database::Postgres);
                }
            }
        }
        on_both_databases!($($rest)*);
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
