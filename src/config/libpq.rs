//! The environment variables of libpq, which operators know from `psql` and other clients.

use super::postgres_url::{Parameters, SslMode, load_certificates};
use super::read::{Environment, invalid};
use super::{ConfigError, DatabaseUrl};

/// The variables that libpq reads and the service ignores. The service logs a warning for each one that is set.
const IGNORED_VARIABLES: &str = "\
    PGAPPNAME PGCHANNELBINDING PGCLIENTENCODING PGCONNECT_TIMEOUT PGDATABASE PGDATESTYLE PGGEQO \
    PGGSSDELEGATION PGGSSENCMODE PGGSSLIB PGHOST PGHOSTADDR PGKRBSRVNAME PGLOADBALANCEHOSTS \
    PGMAXPROTOCOLVERSION PGMINPROTOCOLVERSION PGOPTIONS PGPASSFILE PGPORT PGREQUIREAUTH PGREQUIREPEER \
    PGREQUIRESSL PGSERVICE PGSERVICEFILE PGSSLCERT PGSSLCERTMODE PGSSLCOMPRESSION PGSSLCRL PGSSLCRLDIR \
    PGSSLKEY PGSSLMAXPROTOCOLVERSION PGSSLMINPROTOCOLVERSION PGSSLNEGOTIATION PGSSLSNI PGSYSCONFDIR \
    PGTARGETSESSIONATTRS PGTZ PGUSER";

/// The values of `PGSSLMODE` and `PGSSLROOTCERT`, for parameters that are not in `DATABASE_URL`.
pub(super) fn defaults(env: &Environment<'_>) -> Result<Parameters, ConfigError> {
    let mode: Option<SslMode> = env.choice("PGSSLMODE")?;
    let mode = mode.map(|mode| ("sslmode", mode.into_str().into()));
    let roots = env.get("PGSSLROOTCERT")?;
    if let Some(file) = roots.as_ref().filter(|file| *file != "system") {
        load_certificates("file", file).map_err(|problem| invalid("PGSSLROOTCERT", problem))?;
    }
    let roots = roots.map(|roots| ("sslrootcert", roots));
    Ok(mode.into_iter().chain(roots).collect())
}

pub(super) fn ignored_variables(env: &Environment<'_>, database: &DatabaseUrl) -> Vec<&'static str> {
    if database.sqlite_file().is_some() {
        return Vec::new();
    }
    let variables = IGNORED_VARIABLES.split(' ');
    variables.filter(|variable| (env.0)(variable).is_some()).collect()
}
