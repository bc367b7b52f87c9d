//! Tests that a URL has the same meaning as in libpq. Tests of refused URLs are in `tests/config/database_urls.rs`.

use tokio_postgres::config::TargetSessionAttrs;

use super::*;

fn parse(url: &str) -> ConnectOptions {
    ConnectOptions::parse(url, Parameters::new()).unwrap_or_else(|problem| panic!("{url}: {problem}"))
}

#[test]
fn the_login_and_the_servers_are_found_in_each_part_of_a_url() {
    for (url, login, servers) in [
        (
            "postgresql://to%40do:p%2Fss+1@a:5433,b/to%20do",
            r#""to@do" "p/ss+1" "to do""#,
            r#"[Tcp("a"), Tcp("b")] [5433, 5432]"#,
        ),
        (
            "postgres://u:old@a:1,b:2/d?user=v&password=n%27e%5Cw&host=,c&port=&dbname=e",
            r#""v" "n'e\\w" "e""#,
            r#"[Tcp("localhost"), Tcp("c")] [5432]"#,
        ),
        (
            "postgres://u@[::1]:5433/d",
            r#""u" "" "d""#,
            r#"[Tcp("::1")] [5433]"#,
        ),
        (
            "postgres://u@%2Frun%2Fpg/d",
            r#""u" "" "d""#,
            r#"[Unix("/run/pg")] [5432]"#,
        ),
        (
            "postgres:///d?host=/run/pg&user=u",
            r#""u" "" "d""#,
            r#"[Unix("/run/pg")] []"#,
        ),
        (
            "postgres:///d?hostaddr=127.0.0.1&user=u",
            r#""u" "" "d""#,
            "[] []",
        ),
    ] {
        let ConnectOptions { config, .. } = parse(url);
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
        let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        assert_eq!(format!("{user:?} {password:?} {database:?}"), login, "{url}");
        let (hosts, ports) = (config.get_hosts(), config.get_ports());
        assert_eq!(format!("{hosts:?} {ports:?}"), servers, "{url}");
    }
}

#[test]
fn parameters_have_libpqs_names_and_units() {
    let query = "tcp_user_timeout=1500&keepalives_count=4&target_session_attrs=primary&application_name=x+y";
    let ConnectOptions { config, .. } = parse(&format!("postgres://h/d?{query}"));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1_500)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_application_name(), Some("x+y"));
}

#[test]
fn sslmode_depends_on_the_url_then_on_the_defaults_and_then_on_the_other_parameters() {
    let defaults = Parameters::from([("sslmode", "verify-ca".into()), ("sslrootcert", "/ca.crt".into())]);
    for (url, defaults, mode) in [
        ("postgres://h/d", Parameters::new(), SslMode::Prefer),
        (
            "postgres://h/d?sslrootcert=system",
            Parameters::new(),
            SslMode::VerifyFull,
        ),
        (
            "postgres:///d?host=/run/pg&sslmode=require",
            Parameters::new(),
            SslMode::Disable,
        ),
        ("postgres://h/d", defaults.clone(), SslMode::VerifyCa),
        ("postgres://h/d?sslmode=disable", defaults, SslMode::Disable),
    ] {
        let has_defaults = !defaults.is_empty();
        let ConnectOptions { tls, .. } = ConnectOptions::parse(url, defaults).unwrap();
        assert_eq!(tls.mode, mode, "{url}");
        assert_eq!(tls.roots.as_deref() == Some("/ca.crt"), has_defaults, "{url}");
    }
}
