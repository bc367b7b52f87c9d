//! The secrets that sign HS256 tokens and page cursors: configured, or generated once for the embedded database.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::private_files::{create_private_folder, tighten_permissions};
use super::read::{Environment, invalid};
use super::{ConfigError, DatabaseUrl};

type Result<T> = std::result::Result<T, ConfigError>;

const SECRET_VARIABLE: &str = "BETTER_AUTH_SECRET";
const HINT: &str = "a new one: openssl rand -base64 32; where the frontend's tokens are HS256, it must be \
                    the frontend's own";

/// The placeholder in the documents of version 0.1.0, and Better Auth's default. With a published secret, anybody could
/// sign tokens.
const PUBLISHED_SECRETS: [&str; 2] = [
    "what the frontend has, at least 32 bytes",
    "better-auth-secret-12345678901234567890",
];

/// `Debug` does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub const MIN_BYTES: usize = 32;

    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Refuses a secret that is too short or published.
    fn for_signing(text: &str) -> std::result::Result<Self, String> {
        if text.len() < Self::MIN_BYTES {
            let (bytes, least) = (text.len(), Self::MIN_BYTES);
            return Err(format!("has {bytes} bytes and needs at least {least} ({HINT})"));
        }
        if PUBLISHED_SECRETS.contains(&text) {
            return Err(format!(
                "is an example that everybody knows, so that anybody could sign tokens with it ({HINT})"
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

/// The first secret signs. All of them verify, so that a secret can be replaced while tokens and cursors that the old
/// one signed are still in use.
#[derive(Clone, Debug)]
pub struct Secrets {
    signing: Secret,
    others: Vec<Secret>,
}

impl Secrets {
    pub fn signing(&self) -> &Secret {
        &self.signing
    }

    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.signing).chain(&self.others)
    }

    /// Parses `2:new,1:old`, as Better Auth does.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut versions = HashSet::new();
        let mut secrets = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let position = index + 1;
            let malformed = || format!("entry {position} is not VERSION:SECRET with digits for a version");
            let (version, secret) = entry.split_once(':').ok_or_else(malformed)?;
            let version = version.trim();
            if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            // Better Auth parses the version as a number, so `01` and `1` are the same.
            if !versions.insert(version.trim_start_matches('0')) {
                return Err(format!("entry {position} has the version of an earlier one"));
            }
            let secret = Secret::for_signing(secret.trim());
            secrets.push(secret.map_err(|problem| format!("the secret of entry {position} {problem}"))?);
        }
        let mut secrets = secrets.into_iter();
        let signing = secrets.next().ok_or("has no entry")?;
        let others = secrets.collect();
        Ok(Self { signing, others })
    }
}

impl From<Secret> for Secrets {
    fn from(signing: Secret) -> Self {
        let others = Vec::new();
        Self { signing, others }
    }
}

/// Where the secrets come from. Reading the configuration does not generate one; that is left to the commands that need
/// it.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Configured(Secrets),
    /// No secret is configured, so the generated one in this file, next to the embedded database, is used.
    Generated(PathBuf),
    Missing,
    /// The configured secret is unusable. Only commands that need a secret fail: a backup must be possible before it is
    /// corrected.
    Invalid(ConfigError),
}

impl SecretSource {
    pub(super) fn read(env: &Environment<'_>, database: &DatabaseUrl) -> Self {
        Self::try_read(env, database).unwrap_or_else(Self::Invalid)
    }

    fn try_read(env: &Environment<'_>, database: &DatabaseUrl) -> Result<Self> {
        let single = env.secret_text(SECRET_VARIABLE, "BETTER_AUTH_SECRET_FILE")?;
        if let Some(list) = env.secret_text("BETTER_AUTH_SECRETS", "BETTER_AUTH_SECRETS_FILE")? {
            let secrets = Secrets::parse(&list.text).map_err(|problem| invalid(list.variable, problem))?;
            // During a rotation, Better Auth keeps the old secret in BETTER_AUTH_SECRET. Any other secret is a mistake.
            if let Some(single) = single
                && !secrets.iter().any(|secret| secret.as_str() == single.text)
            {
                let problem = "is not among BETTER_AUTH_SECRETS: add it there, or unset it";
                return Err(invalid(single.variable, problem));
            }
            return Ok(Self::Configured(secrets));
        }
        if let Some(single) = single {
            let secret =
                Secret::for_signing(&single.text).map_err(|problem| invalid(single.variable, problem))?;
            return Ok(Self::Configured(secret.into()));
        }
        Ok(match database.sqlite_file() {
            None => Self::Missing,
            Some(file) => {
                let mut path = file.as_os_str().to_owned();
                path.push(".secret");
                Self::Generated(path.into())
            }
        })
    }

    /// Generates the secret of the embedded database if its file does not exist.
    pub fn load_or_generate(&self) -> Result<Secrets> {
        self.resolve(|path| {
            if !path.try_exists()? {
                generate_secret(path)?;
            }
            read_secret(path)
        })
    }

    /// Does not generate a secret, because a new one would not be the running service's.
    pub fn load_existing(&self) -> Result<Secrets> {
        self.resolve(|path| match path.try_exists()? {
            true => read_secret(path),
            false => Err(io::Error::other(
                "it does not exist: run this where the service runs",
            )),
        })
    }

    /// Fails if a secret is required and missing. Accesses no file.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Missing => Err(invalid(SECRET_VARIABLE, format!("is missing ({HINT})"))),
            Self::Invalid(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn resolve(&self, from_file: impl FnOnce(&Path) -> io::Result<Secret>) -> Result<Secrets> {
        self.check()?;
        match self {
            Self::Configured(secrets) => Ok(secrets.clone()),
            Self::Generated(path) => from_file(path).map(Secrets::from).map_err(|error| {
                let path = path.display();
                invalid(
                    SECRET_VARIABLE,
                    format!("is not set, and {path} cannot be used: {error}"),
                )
            }),
            Self::Missing | Self::Invalid(_) => Err(invalid(SECRET_VARIABLE, "is missing")),
        }
    }

    /// The value that `check-config` prints.
    pub fn describe(&self) -> String {
        match self {
            Self::Configured(secrets) => match secrets.iter().count() {
                1 => "(hidden, set)".into(),
                count => format!("(hidden, {count} of them)"),
            },
            Self::Generated(file) if file.exists() => format!("(hidden, from {})", file.display()),
            Self::Generated(file) => {
                format!("(none yet; the service will create one in {})", file.display())
            }
            Self::Missing => "(missing)".into(),
            Self::Invalid(error) => format!("({error})"),
        }
    }
}

/// Writes a temporary file and then creates a hard link to it. If two processes start at the same time, one link
/// succeeds and both read the same secret. Neither step follows a symbolic link that an attacker may have created.
fn generate_secret(path: &Path) -> io::Result<()> {
    create_private_folder(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", random_text(9)?));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(random_text(Secret::MIN_BYTES)?.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&temporary, path));
    fs::remove_file(&temporary)?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn random_text(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    rand::fill(&mut random).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn read_secret(path: &Path) -> io::Result<Secret> {
    tighten_permissions(path);
    let text = fs::read_to_string(path)?;
    Secret::for_signing(text.trim())
        .map_err(|_| io::Error::other("it contains no valid secret; delete it to get a new one"))
}

#[cfg(test)]
mod tests;
