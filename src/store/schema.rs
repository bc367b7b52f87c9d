//! Diesel's schema of the tables, which is the same for both databases. The module is private to the store, so
//! that other modules cannot build queries of the tables.

diesel::table! {
    use diesel::sql_types::{Double, Nullable, Text};
    use crate::db::timestamp::SqlTimestamp;

    users (id) {
        id -> Text,
        email -> Nullable<Text>,
        name -> Nullable<Text>,
        created_at -> SqlTimestamp,
        claims_issued_at -> Nullable<Double>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
    use crate::db::timestamp::SqlTimestamp;

    tasks (id) {
        id -> BigInt,
        user_id -> Text,
        title -> Text,
        description -> Nullable<Text>,
        completed -> Bool,
        due_date -> Nullable<SqlTimestamp>,
        created_at -> SqlTimestamp,
        updated_at -> SqlTimestamp,
        version -> BigInt,
        title_key -> Binary,
        keyed_title -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Text};
    use crate::db::timestamp::SqlTimestamp;

    idempotency_keys (user_id, key) {
        user_id -> Text,
        key -> Text,
        fingerprint -> Binary,
        task_id -> BigInt,
        answer -> Binary,
        created_at -> SqlTimestamp,
    }
}
