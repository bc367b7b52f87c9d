//! Tests of the URLs that are accepted and of those that are refused.

use tokio_postgres::config::TargetSessionAttrs;

use super::tls_options::RootCertificates;
use super::*;

fn parse(url: &str) -> Result<ConnectOptions, String> {
    ConnectOptions::parse(url, Parameters::new())
}

fn config(url: &str) -> Config {
    parse(url)
        .unwrap_or_else(|problem| panic!("{url}: {problem}"))
        .config
}

#[test]
fn user_password_hosts_and_database_are_parsed() {
    let config = config("postgresql://to%40do:p%2Fss+1@a:5433,b/to%20do?application_name=x+y");
    assert_eq!(config.get_user(), Some("to@do"));
    assert_eq!(config.get_password(), Some(&b"p/ss+1"[..]));
    assert_eq!(config.get_dbname(), Some("to do"));
    assert_eq!(config.get_application_name(), Some("x+y"));
    assert_eq!(config.get_hosts(), [Host::Tcp("a".into()), Host::Tcp("b".into())]);
    assert_eq!(config.get_ports(), [5433, 5432]);
}

#[test]
fn a_parameter_in_the_query_overrides_the_rest_of_the_url() {
    let config = config("postgres://u:old@a:1,b:2/d?user=v&password=n%27e%5Cw&host=,c&port=&dbname=e");
    assert_eq!(config.get_user(), Some("v"));
    assert_eq!(config.get_password(), Some(&br"n'e\w"[..]));
    assert_eq!(config.get_dbname(), Some("e"));
    assert_eq!(
        config.get_hosts(),
        [Host::Tcp("localhost".into()), Host::Tcp("c".into())]
    );
    assert_eq!(config.get_ports(), [5432]);
}

#[test]
fn a_password_is_found_in_the_authority_or_in_the_query() {
    for (url, has) in [
        ("postgres://todo:secret@db/todo", true),
        ("postgres://todo:secret@a,b/todo?sslmode=require", true),
        ("postgres://db/todo?password=secret", true),
        ("postgres://todo@db/todo", false),
        ("postgres://todo:@db/todo?password=", false),
    ] {
        let parsed = PostgresUrl::parse(url, Parameters::new());
        assert_eq!(parsed.is_ok_and(|parsed| parsed.has_password()), has, "{url}");
    }
}

#[test]
fn hosts_may_be_addresses_and_sockets() {
    assert_eq!(
        config("postgres://[::1]:5433/d").get_hosts(),
        [Host::Tcp("::1".into())]
    );
    let socket = parse("postgres:///d?host=/run/postgresql&sslmode=require").unwrap();
    assert_eq!(socket.config.get_hosts(), [Host::Unix("/run/postgresql".into())]);
    assert_eq!(socket.tls.mode, SslMode::Disable);
    assert_eq!(
        config("postgres://%2Frun%2Fpg/d").get_hosts(),
        [Host::Unix("/run/pg".into())]
    );
    assert_eq!(
        config("postgres:///d?hostaddr=127.0.0.1").get_hostaddrs().len(),
        1
    );
}

#[test]
fn units_and_names_are_those_of_libpq() {
    let config = config(
        "postgres://h/d?tcp_user_timeout=1500&keepalives_count=4&connect_timeout=3&target_session_attrs=primary",
    );
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1_500)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
}

#[test]
fn sslmode_means_what_it_means_to_libpq() {
    let mode = |query: &str| parse(&format!("postgres://h/d{query}")).map(|options| options.tls.mode);
    assert_eq!(mode(""), Ok(SslMode::Prefer));
    assert_eq!(mode("?sslmode=disable"), Ok(SslMode::Disable));
    assert_eq!(mode("?sslmode=require"), Ok(SslMode::Require));
    assert_eq!(
        mode("?sslmode=verify-ca&sslrootcert=ca.crt"),
        Ok(SslMode::VerifyCa)
    );
    assert_eq!(mode("?sslmode=verify-full"), Ok(SslMode::VerifyFull));
    assert_eq!(mode("?sslrootcert=system"), Ok(SslMode::VerifyFull));
    for wrong in [
        "?sslmode=allow",
        "?sslmode=Require",
        "?sslmode=",
        "?sslmode=verify-ca",
        "?sslmode=require&sslrootcert=system",
        "?sslcert=client.crt",
        "?sslnegotiation=direct",
        "?sslmode=disable&sslnegotiation=direct",
        "?sslmode=disable&channel_binding=require",
        "?hostaddr=127.0.0.1,127.0.0.2",
    ] {
        assert!(mode(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn defaults_apply_to_parameters_that_the_url_does_not_have() {
    let defaults = Parameters::from([("sslmode", "verify-ca".into()), ("sslrootcert", "/ca.crt".into())]);
    let parse = |url| ConnectOptions::parse(url, defaults.clone()).unwrap().tls;
    let tls = parse("postgres://h/d");
    assert_eq!(tls.mode, SslMode::VerifyCa);
    assert_eq!(tls.roots, Some(RootCertificates::File("/ca.crt".into())));
    assert_eq!(parse("postgres://h/d?sslmode=disable").mode, SslMode::Disable);
}

#[test]
fn the_error_names_the_parameter_that_is_unsupported_or_invalid() {
    for (url, name) in [
        ("postgres://h/d?sslcrl=x", "sslcrl"),
        ("postgres://h/d?pgbouncer=true", "pgbouncer"),
        (
            "postgres://h/d?target_session_attrs=prefer-standby",
            "target_session_attrs",
        ),
        ("postgres://h/d?connect_timeout=soon", "connect_timeout"),
        ("postgres://h/d?tcp_user_timeout=-1", "tcp_user_timeout"),
        ("postgres://h:0/d", "port"),
        ("postgres://h/d?port=99999", "port"),
        ("postgres://a,b/d?port=1,2,3", "ports"),
        ("postgres://h/d?channel_binding=maybe", "channel_binding"),
        ("postgres:///d", "host"),
    ] {
        let problem = parse(url).unwrap_err();
        assert!(problem.contains(name), "{url}: {problem}");
    }
}

#[test]
fn an_error_does_not_quote_a_part_of_a_secret() {
    for url in [
        "postgres://h/d?password=a&hunter2",
        "postgres://h/d?password=a&Hunter2=b",
        "postgres://h/d?scram_client_key=hunter2",
    ] {
        let problem = parse(url).unwrap_err();
        assert!(!problem.to_lowercase().contains("hunter"), "{problem}");
    }
}
