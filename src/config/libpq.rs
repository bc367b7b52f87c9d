//! The environment variables of libpq, which operators know from `psql` and other clients.

use std::fs;

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
#[derive(Clone, Debug, Default)]
pub struct LibpqDefaults {
    pub ssl_mode: Option<String>,
    pub ssl_root_cert: Option<String>,
}

impl LibpqDefaults {
    pub(super) fn read(env: &Environment<'_>, database: &DatabaseUrl) -> Result<Self, ConfigError> {
        const MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];
        if database.sqlite_file().is_some() {
            return Ok(Self::default());
        }
        let (ssl_mode, ssl_root_cert) = (env.get("PGSSLMODE")?, env.get("PGSSLROOTCERT")?);
        if let Some(mode) = &ssl_mode
            && !MODES.contains(&mode.as_str())
        {
            let problem = format!("must be one of {}, not {mode:?}", MODES.join(", "));
            return Err(invalid("PGSSLMODE", problem));
        }
        if let Some(file) = ssl_root_cert.as_ref().filter(|file| *file != "system") {
            fs::metadata(file).map_err(|error| invalid("PGSSLROOTCERT", format!("{file}: {error}")))?;
        }
        Ok(Self {
            ssl_mode,
            ssl_root_cert,
        })
    }
}

pub(super) fn ignored_variables(env: &Environment<'_>, database: &DatabaseUrl) -> Vec<&'static str> {
    if database.sqlite_file().is_some() {
        return Vec::new();
    }
    let variables = IGNORED_VARIABLES.split(' ');
    variables.filter(|variable| (env.0)(variable).is_some()).collect()
}
