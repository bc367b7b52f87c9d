//! The secrets that sign HS256 tokens and page cursors. They are configured, or generated once for an SQLite database.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tempfile::NamedTempFile;

use super::private_files::{create_private_folder, tighten_permissions};
use super::read::{Environment, invalid};
use super::{ConfigError, DatabaseUrl};

type Result<T> = std::result::Result<T, ConfigError>;

const SECRET_VARIABLE: &str = "BETTER_AUTH_SECRET";
const SECRET_HINT: &str = "generate one with: openssl rand -base64 32; if the frontend's tokens are HS256, use \
                           the frontend's secret";

/// The placeholder in the documentation of version 0.1.0, and the default of Better Auth. Anybody could sign tokens
/// with a published secret.
const PUBLISHED_SECRETS: [&str; 2] = [
    "what the frontend has, at least 32 bytes",
    "better-auth-secret-12345678901234567890",
];

/// A secret. Its `Debug` output does not contain the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub const MIN_BYTES: usize = 32;

    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Parses a secret that signs tokens. Refuses one that is too short or that is an example in a public document.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        if text.len() < Self::MIN_BYTES {
            let (bytes, least) = (text.len(), Self::MIN_BYTES);
            return Err(format!(
                "has {bytes} bytes and needs at least {least} ({SECRET_HINT})"
            ));
        }
        if PUBLISHED_SECRETS.contains(&text) {
            return Err(format!(
                "is an example from public documentation, with which anybody could sign tokens ({SECRET_HINT})"
            ));
        }
        Ok(Self(text.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// At least one secret. The first one signs, and all of them verify. A secret can therefore be replaced while tokens
/// and cursors that the old secret signed are still in use.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    pub fn signing(&self) -> &Secret {
        &self.0[0]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }

    /// Parses a list such as `2:new,1:old`, in the format of Better Auth.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut versions = HashSet::new();
        let mut secrets = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let position = index + 1;
            let malformed =
                || format!("entry {position} is not VERSION:SECRET where VERSION consists of digits");
            let (version, secret) = entry.split_once(':').ok_or_else(malformed)?;
            let version = version.trim();
            if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            // Better Auth parses the version as a number, so `01` and `1` are the same.
            if !versions.insert(version.trim_start_matches('0')) {
                return Err(format!(
                    "entry {position} has the same version as an earlier entry"
                ));
            }
            let secret = Secret::parse(secret.trim());
            secrets.push(secret.map_err(|problem| format!("the secret of entry {position} {problem}"))?);
        }
        Ok(Self(secrets))
    }
}

/// Where the secrets come from. Only `load_or_generate` creates a secret, so that reading the configuration creates no
/// file.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Configured(Secrets),
    /// No secret is configured. The secret in this file next to the SQLite database is used, and generated if the file
    /// does not exist.
    Generated(PathBuf),
    /// The secret is invalid or missing. Commands that need no secret still work, for example `backup`.
    Invalid(ConfigError),
}

impl SecretSource {
    pub(super) fn read(env: &Environment<'_>, database: &DatabaseUrl) -> Self {
        Self::try_read(env, database).unwrap_or_else(Self::Invalid)
    }

    fn try_read(env: &Environment<'_>, database: &DatabaseUrl) -> Result<Self> {
        let single = env.secret_text(SECRET_VARIABLE, "BETTER_AUTH_SECRET_FILE")?;
        let list = env.secret_text("BETTER_AUTH_SECRETS", "BETTER_AUTH_SECRETS_FILE")?;
        if let Some((text, variable)) = list {
            let secrets = Secrets::parse(&text).map_err(|problem| invalid(variable, problem))?;
            // During a rotation, BETTER_AUTH_SECRET may still contain the old secret, as in Better Auth. A secret that
            // is not in the list is a mistake.
            if let Some((text, variable)) = single
                && !secrets.iter().any(|secret| secret.as_str() == text)
            {
                let problem = "is not among BETTER_AUTH_SECRETS: add it there, or unset it";
                return Err(invalid(variable, problem));
            }
            return Ok(Self::Configured(secrets));
        }
        if let Some((text, variable)) = single {
            let secret = Secret::parse(&text).map_err(|problem| invalid(variable, problem))?;
            return Ok(Self::Configured(Secrets(vec![secret])));
        }
        let missing = || invalid(SECRET_VARIABLE, format!("is missing ({SECRET_HINT})"));
        let mut path = database.sqlite_file().ok_or_else(missing)?.as_os_str().to_owned();
        path.push(".secret");
        Ok(Self::Generated(path.into()))
    }

    /// Returns the secrets. If none is configured for an SQLite database, reads the secret from the file next to the
    /// database, and generates that file if it does not exist.
    pub fn load_or_generate(&self) -> Result<Secrets> {
        self.resolve(|path| {
            if !path.try_exists()? {
                generate_secret(path)?;
            }
            read_secret(path)
        })
    }

    /// Returns the secrets. Does not generate one, because it would differ from the secret of the running service.
    pub fn load_existing(&self) -> Result<Secrets> {
        self.resolve(|path| match path.try_exists()? {
            true => read_secret(path),
            false => Err(io::Error::other(
                "it does not exist: run this command where the service runs",
            )),
        })
    }

    /// Fails if the secret is missing or invalid. Does not read the file of a generated secret.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Invalid(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn resolve(&self, load_file: impl FnOnce(&Path) -> io::Result<Secret>) -> Result<Secrets> {
        match self {
            Self::Configured(secrets) => Ok(secrets.clone()),
            Self::Generated(path) => load_file(path)
                .map(|secret| Secrets(vec![secret]))
                .map_err(|error| {
                    let problem = format!("is not set, and {} cannot be used: {error}", path.display());
                    invalid(SECRET_VARIABLE, problem)
                }),
            Self::Invalid(error) => Err(error.clone()),
        }
    }

    /// Returns the value that `check-config` prints.
    pub fn describe(&self) -> String {
        match self {
            Self::Configured(secrets) => match secrets.0.len() {
                1 => "(hidden, set)".into(),
                count => format!("(hidden, {count} of them)"),
            },
            Self::Generated(file) if file.exists() => format!("(hidden, from {})", file.display()),
            Self::Generated(file) => {
                format!("(none yet; the service will create one in {})", file.display())
            }
            Self::Invalid(error) => format!("({error})"),
        }
    }
}

/// Writes a temporary file, and moves it to `path` unless there is a file already. If two processes start at the same
/// time, only one of them can move its file, and both read the same secret. Neither step follows a symbolic link that an
/// attacker may have created.
fn generate_secret(path: &Path) -> io::Result<()> {
    create_private_folder(path)?;
    let mut random = [0; Secret::MIN_BYTES];
    rand::fill(&mut random)
        .map_err(|_| io::Error::other("the random number generator of the system failed"))?;
    // `tempfile` creates the file with mode 0600.
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new("")))?;
    file.write_all(BASE64_URL_SAFE_NO_PAD.encode(random).as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => Ok(()),
    }
}

fn read_secret(path: &Path) -> io::Result<Secret> {
    tighten_permissions(path);
    let text = fs::read_to_string(path)?;
    Secret::parse(text.trim()).map_err(|_| {
        io::Error::other("it contains no valid secret; delete it, and a new secret will be generated")
    })
}
